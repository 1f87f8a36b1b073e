import { Link } from "@tanstack/react-router";
import { BellRing } from "lucide-react";
import { useAlerts } from "~/live/alerts";
import type { LiveAlert } from "~/live/feed";
import { Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { plural, value, words } from "~/words/numbers";

const SHOWN = 30;
const TONES = { info: "info", warning: "warn", critical: "bad" } as const;

/** What was raised, newest first; one click leads to why. */
export function AlertsPanel({ detector, className }: { detector: string | undefined; className?: string }) {
  const { newest, told } = useAlerts();
  const own = newest.filter((each) => !detector || each.detector === detector).slice(0, SHOWN);
  return (
    <Panel
      title="Alerts"
      about={
        <span data-alerts-told={told}>
          {told > SHOWN ? `The newest ${SHOWN} of ${plural(told, "alert")}` : `${plural(told, "alert")}, newest first`}
        </span>
      }
      className={className}
    >
      <ol
        aria-label="Newest alerts"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is reached by keyboard
        tabIndex={0}
        className="-mx-4 h-[344px] overflow-y-auto"
      >
        {own.map((alert) => (
          <Alert key={alert.number} alert={alert} />
        ))}
        {own.length === 0 && (
          <li>
            <Empty title="No alert">
              <span className="inline-flex items-center gap-1">
                <BellRing aria-hidden size={14} /> What is raised appears here at once.
              </span>
            </Empty>
          </li>
        )}
      </ol>
    </Panel>
  );
}

function Alert({ alert }: { alert: LiveAlert }) {
  return (
    <li className="border-b px-4 py-2 last:border-0" data-alert={alert.number}>
      <p className="flex items-center gap-2 text-xs">
        <Badge tone={TONES[alert.severity]}>{alert.severity}</Badge>
        <span className="min-w-0 flex-1 truncate text-soft">{words(alert.rule)}</span>
        <span className="text-soft">
          <Time at={alert.at} />
        </span>
      </p>
      <p className="mt-1 break-words">
        {alert.text} <Why alert={alert} />
      </p>
    </li>
  );
}

/** Where it is explained: the transaction that raised it; where a figure of the service did, that figure. */
function Why({ alert }: { alert: LiveAlert }) {
  if (alert.transaction_id) {
    return (
      <Link
        to="/transactions/$id"
        params={{ id: alert.transaction_id }}
        search={{ detector: alert.detector }}
        className="whitespace-nowrap font-medium text-accent hover:underline"
      >
        Why?
      </Link>
    );
  }
  const values = Object.entries(alert.values ?? {}).map(([name, found]) => `${words(name)} ${value(found)}`);
  return values.length > 0 && <span className="text-soft">({values.join(", ")})</span>;
}
