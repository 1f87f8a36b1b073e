import type { Context } from "~/api/transactions";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { value, words } from "~/words/numbers";

/** The fields of the event as they were sent. */
export function EventPanel({ of: context }: { of: Context }) {
  return (
    <Panel title={t("Event")}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
        {Object.entries(context.event).map(([name, found]) => (
          <div key={name} className="contents">
            <dt className="text-soft">{words(name)}</dt>
            <dd className="min-w-0 break-words">{typeof found === "number" ? String(found) : value(found)}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
