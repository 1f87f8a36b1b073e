import { useQuery } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, CircleMinus, CircleX, type LucideIcon } from "lucide-react";
import { api, type Schemas, say } from "~/api/client";
import { Asked } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { plural, words } from "~/words/numbers";
import { duration } from "~/words/times";
import { grouped } from "./health";
import { ProcessPanel } from "./ProcessPanel";

type Part = Schemas["PartForm"];

const EVERY_MS = 5_000;

/** How each part fares and how far it is behind, as it is now. */
export function HealthTab() {
  const health = useQuery({
    queryKey: ["health"],
    refetchInterval: EVERY_MS,
    queryFn: async () => say(await api.GET("/operations/health")),
  });
  return (
    <Asked of={health} height={420}>
      {({ status, at, parts, process }) => (
        <>
          <p role="status" className="flex flex-wrap items-center gap-2">
            <Status of={status} large />
            <span className="text-soft">
              {t("checked")} <Time at={at} />
            </span>
          </p>
          <ProcessPanel of={process} at={at} />
          {grouped(parts).map(({ name, parts }) => (
            <Panel key={name} title={name} flush>
              <ul aria-label={t("Parts of {name}", { name })}>
                {parts.map((part) => (
                  <Line key={part.name} part={part} />
                ))}
              </ul>
            </Panel>
          ))}
        </>
      )}
    </Asked>
  );
}

function Line({ part }: { part: Part }) {
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 border-t px-4 py-2 md:grid-cols-[9rem_7rem_minmax(0,1fr)_11rem_9rem]">
      <span className="font-medium">{words(part.name)}</span>
      <Status of={part.status} />
      <span className={cx("max-md:col-span-2", part.status === "absent" && "text-soft")}>{part.text}</span>
      <span className="text-soft text-xs md:text-right">{behind(part)}</span>
      <span className="text-right text-soft text-xs">
        {t("since")} <Time at={part.since} />
      </span>
    </li>
  );
}

function behind({ lag_events, lag_s }: Part): string {
  if (lag_events === null && lag_s === null) return "";
  if (lag_events === 0) return t("nothing waits");
  const events = lag_events === null ? "" : t("lag {lag_events}", { lag_events: plural(lag_events, "event") });
  return lag_s === null ? events : `${events}${events && ", "}${t("{lag} behind", { lag: duration(lag_s) })}`;
}

const LOOKS: Record<string, { icon: LucideIcon; tone: string }> = {
  ok: { icon: CircleCheck, tone: "text-approve" },
  degraded: { icon: CircleAlert, tone: "text-review" },
  failed: { icon: CircleX, tone: "text-block" },
  absent: { icon: CircleMinus, tone: "text-soft" },
};

function Status({ of, large }: { of: string; large?: boolean }) {
  const look = LOOKS[of] ?? { icon: CircleMinus, tone: "text-soft" };
  const Icon = look.icon;
  return (
    <span className={cx("inline-flex items-center gap-1.5 font-medium", look.tone, large && "text-lg")}>
      <Icon aria-hidden size={large ? 20 : 15} />
      {large ? SAID[of] : words(of)}
    </span>
  );
}

const SAID: Record<string, string> = {
  ok: t("All systems operational"),
  degraded: t("Degraded: some parts work with limits"),
  failed: t("A part has failed"),
};
