import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { BellRing } from "lucide-react";
import { useMemo } from "react";
import { api, type Schemas, say } from "~/api/client";
import { queries } from "~/api/queries";
import { type AlertGroup, grouped, useAlerts } from "~/live/alerts";
import type { LiveAlert } from "~/live/feed";
import { alertOf } from "~/screens/operations/alerts/alert";
import { useMay } from "~/session/session";
import { Empty, told } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { sayDone } from "~/ui/said";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, plural, value, words } from "~/words/numbers";

const SHOWN = 50;
const TONES = { info: "info", warning: "warn", critical: "bad" } as const;

/** The newest alerts by rule and subject; one click leads to why, another acknowledges them. */
export function AlertsPanel({ detector, className }: { detector: string | undefined; className?: string }) {
  const { newest, told: raised } = useAlerts();
  const own = grouped(newest.filter((each) => !detector || each.detector === detector).slice(0, SHOWN));
  const acknowledged = useAcknowledged(detector);
  const may = useMay(detector);
  const mayAcknowledge = may("review") || may("approve") || may("administer") || may("operate");
  return (
    <Panel
      title={t("Alerts")}
      about={
        <span data-alerts-told={raised}>
          {raised > SHOWN
            ? t("The newest {value} of {raised}, by rule and subject", {
                value: SHOWN,
                raised: plural(raised, "alert"),
              })
            : t("{raised}, by rule and subject", { raised: plural(raised, "alert") })}
        </span>
      }
      className={className}
    >
      <ol
        aria-label={t("Newest alerts")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is reached by keyboard
        tabIndex={0}
        className="-mx-4 h-[382px] overflow-y-auto"
      >
        {own.map((group) => (
          <Group key={group.key} group={group} acknowledged={acknowledged} mayAcknowledge={mayAcknowledge} />
        ))}
        {own.length === 0 && (
          <li>
            <Empty title={t("No alert")}>
              <span className="inline-flex items-center gap-1">
                <BellRing aria-hidden size={14} /> {t("What is raised appears here at once.")}
              </span>
            </Empty>
          </li>
        )}
      </ol>
    </Panel>
  );
}

interface GroupProps {
  group: AlertGroup;
  acknowledged: ReadonlyMap<string, Acknowledged>;
  mayAcknowledge: boolean;
}

/** The newest alert of a rule about a subject, how many there were, and who acknowledged them. */
function Group({ group, acknowledged, mayAcknowledge }: GroupProps) {
  const [alert] = group.alerts;
  const open = group.alerts.filter((each) => !acknowledged.has(each.key));
  const by = acknowledged.get(alert.key);
  return (
    <li className="border-b px-4 py-2 last:border-0" data-alert={alert.number}>
      <p className="flex items-center gap-2 text-xs">
        <Badge tone={TONES[alert.severity]}>{words(alert.severity)}</Badge>
        <span className="min-w-0 flex-1 truncate text-soft">{words(alert.rule)}</span>
        {group.alerts.length > 1 && <Badge>{plural(group.alerts.length, "alert")}</Badge>}
        <span className="text-soft">
          <Time at={alert.at} />
        </span>
      </p>
      <p className="mt-1 break-words">{alert.text}</p>
      <div className="mt-1 flex min-h-6 flex-wrap items-center justify-between gap-x-3 gap-y-1 text-xs">
        <Why alert={alert} />
        {by && open.length === 0 ? (
          <span className="text-soft">
            {t("Acknowledged by {by},", { by: by.by })} <Time at={by.at} />
          </span>
        ) : (
          mayAcknowledge && (
            <Button className="ml-auto" onClick={() => void acknowledge(open)}>
              {open.length > 1 ? t("Acknowledge {n}", { n: count(open.length) }) : t("Acknowledge")}
            </Button>
          )
        )}
      </div>
    </li>
  );
}

type Acknowledged = Schemas["AcknowledgedForm"];

/** Who acknowledged which of the newest alerts. */
function useAcknowledged(detector: string | undefined): ReadonlyMap<string, Acknowledged> {
  const { data } = useQuery({
    queryKey: ["deliveries", "acknowledged", detector],
    refetchInterval: 10_000,
    retry: false,
    queryFn: async () => say(await api.GET("/alerts/deliveries", { params: { query: { detector, limit: 50 } } })),
  });
  return useMemo(() => {
    const found = (data?.alerts ?? []).flatMap(({ alert, acknowledged }) =>
      acknowledged ? [[alertOf(alert).key, acknowledged] as const] : [],
    );
    return new Map(found);
  }, [data]);
}

async function acknowledge(alerts: readonly LiveAlert[]): Promise<void> {
  try {
    for (const { key } of alerts) {
      say(await api.POST("/alerts/{key}/acknowledge", { params: { path: { key } }, body: { note: null } }));
    }
    sayDone(t("{n} acknowledged.", { n: plural(alerts.length, "alert") }));
  } catch (error) {
    sayDone(told(error));
  }
  await queries.invalidateQueries({ queryKey: ["deliveries"] });
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
        {t("Why?")}
      </Link>
    );
  }
  const values = Object.entries(alert.values ?? {}).map(([name, found]) => `${words(name)} ${value(found)}`);
  return values.length > 0 && <span className="text-soft">({values.join(", ")})</span>;
}
