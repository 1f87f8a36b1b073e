import type { Schemas } from "~/api/client";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { lineInWords, noteOf } from "./told";

/** What happened to the case and what was written down, oldest first. */
export function History({ lines }: { lines: readonly Schemas["LineForm"][] }) {
  return (
    <section aria-label={t("History")} className="flex flex-col gap-1">
      <h3 className="font-semibold">{t("History and notes")}</h3>
      <ol className="flex flex-col">
        {lines.map((line) => (
          <li key={`${line.at}${line.action}`} className="flex flex-wrap gap-x-2 py-0.5">
            <span className="text-soft">
              <Time at={line.at} />
            </span>
            <span>
              <b className="font-medium">{line.who}</b> {lineInWords(line)}
            </span>
            {noteOf(line) && (
              <q className="w-full whitespace-pre-wrap break-words border-l-2 pl-2 text-soft">{noteOf(line)}</q>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}
