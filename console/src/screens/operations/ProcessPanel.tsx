import type { Schemas } from "~/api/client";
import { Columns } from "~/charts/Columns";
import { bytes } from "~/screens/features/bytes";
import { Figure, Figures } from "~/ui/Figure";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count, percent, words } from "~/words/numbers";
import { duration, inFull } from "~/words/times";
import { formatted, zone } from "~/words/zones";

type Process = Schemas["ProcessForm"];
type Step = Schemas["HealthStep"];

const STEP_S = 600;
const MEGABYTE = 1e6;
const COLOURS: Record<string, string> = { ok: "approve-muted", degraded: "review", failed: "block" };

/** The process that answers: its version, memory and disk, and its last day. */
export function ProcessPanel({ of: process, at }: { of: Process; at: string }) {
  const up = (new Date(at).getTime() - new Date(process.started_at).getTime()) / 1000;
  const { memory_bytes: memory, memory_limit_bytes: limit, disk_free_bytes: free, disk_bytes: disk } = process;
  return (
    <Panel
      title={t("Process")}
      about={t("The last 24 hours in steps of 10 minutes, in {zone}; kept since the start.", { zone: zone() })}
    >
      <Figures label={t("Process")}>
        <Figure name={t("Version")} value={process.version} />
        <Figure
          name={t("Up")}
          value={duration(up)}
          about={t("since {started_at}", { started_at: inFull(process.started_at) })}
        />
        <Figure
          name={t("Memory")}
          value={memory === null ? "–" : bytes(memory)}
          about={
            memory === null
              ? t("not told by this system")
              : t("{value} of {limit}", { value: percent(memory / limit), limit: bytes(limit) })
          }
        />
        <Figure
          name={t("Free disk")}
          value={bytes(free)}
          about={t("{value} of {disk}", { value: percent(free / disk), disk: bytes(disk) })}
          tone={free < 2 ** 30 ? "text-review" : ""}
        />
      </Figures>
      <History of={process.history} />
    </Panel>
  );
}

/** A bar for each step: as high as its most memory, in the colour of its worst status. */
function History({ of: steps }: { of: readonly Step[] }) {
  if (steps.length === 0) return null;
  const most = Math.max(MEGABYTE, ...steps.map((step) => step.memory_bytes ?? 0));
  return (
    <figure className="mt-4">
      <figcaption className="mb-2 text-soft text-xs">
        {t("Most memory in each 10 minutes, coloured by the worst status: {steps}", { steps: said(steps) })}
      </figcaption>
      <Columns
        label={`Status: ${said(steps)}`}
        y={t("memory, MB")}
        x={`time, ${zone()}`}
        columns={steps.map((step) => ({
          name: formatted(new Date(step.at), CLOCK),
          title: t("{at}: {status}, memory {memory}, free disk {disk}, lag at most {lag}", {
            at: inFull(step.at),
            status: words(step.status),
            memory: step.memory_bytes === null ? t("unknown") : bytes(step.memory_bytes),
            disk: bytes(step.disk_free_bytes),
            lag: duration(step.lag_s),
          }),
          bars: [{ value: (step.memory_bytes ?? most) / MEGABYTE, colour: COLOURS[step.status] ?? "line" }],
        }))}
        format={(megabytes) => count(megabytes)}
        height={108}
      />
    </figure>
  );
}

const CLOCK = { hour: "2-digit", minute: "2-digit" } as const;

/** For how long something was not well. */
function said(steps: readonly Step[]): string {
  const lasted = (status: string) => steps.filter((step) => step.status === status).length * STEP_S;
  const bad = ["failed", "degraded"].filter((status) => lasted(status) > 0);
  if (bad.length === 0) return t("ok for {value}", { value: duration(steps.length * STEP_S) });
  return bad.map((status) => t("{status} within {status2}", { status, status2: duration(lasted(status)) })).join(", ");
}
