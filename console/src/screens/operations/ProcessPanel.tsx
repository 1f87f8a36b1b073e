import type { Schemas } from "~/api/client";
import { bytes } from "~/screens/features/bytes";
import { Figure, Figures } from "~/ui/Figure";
import { Panel } from "~/ui/Panel";
import { percent } from "~/words/numbers";
import { duration, inFull, moment } from "~/words/times";
import { zone } from "~/words/zones";

type Process = Schemas["ProcessForm"];
type Step = Schemas["HealthStep"];

const STEP_S = 600;
const COLOURS: Record<string, string> = { ok: "bg-accent/35", degraded: "bg-review", failed: "bg-block" };

/** The process that answers: its version, memory and disk, and its last day. */
export function ProcessPanel({ of: process, at }: { of: Process; at: string }) {
  const up = (new Date(at).getTime() - new Date(process.started_at).getTime()) / 1000;
  const { memory_bytes: memory, memory_limit_bytes: limit, disk_free_bytes: free, disk_bytes: disk } = process;
  return (
    <Panel title="Process" about={`The last 24 hours in steps of 10 minutes, in ${zone()}; kept since the start.`}>
      <Figures label="Process">
        <Figure name="Version" value={process.version} />
        <Figure name="Up" value={duration(up)} about={`since ${inFull(process.started_at)}`} />
        <Figure
          name="Memory"
          value={memory === null ? "–" : bytes(memory)}
          about={memory === null ? "not told by this system" : `${percent(memory / limit)} of ${bytes(limit)}`}
        />
        <Figure
          name="Free disk"
          value={bytes(free)}
          about={`${percent(free / disk)} of ${bytes(disk)}`}
          tone={free < 2 ** 30 ? "text-review" : ""}
        />
      </Figures>
      <History of={process.history} />
    </Panel>
  );
}

/** A bar for each step: as high as its most memory, in the colour of its worst status. */
function History({ of: steps }: { of: readonly Step[] }) {
  const most = Math.max(1, ...steps.map((step) => step.memory_bytes ?? 0));
  const [first, last] = [steps[0], steps[steps.length - 1]];
  if (!first || !last) return null;
  return (
    <figure className="mt-4">
      <figcaption className="mb-1 text-soft text-xs">Memory, coloured by the worst status: {said(steps)}</figcaption>
      <div role="img" aria-label={`Status: ${said(steps)}`} className="flex h-16 items-end gap-px border-b">
        {steps.map((step) => (
          <span
            key={step.at}
            className={`min-w-px max-w-4 flex-1 ${COLOURS[step.status] ?? "bg-line"}`}
            style={{ height: `${step.memory_bytes === null ? 100 : Math.max(4, (100 * step.memory_bytes) / most)}%` }}
            title={`${inFull(step.at)}: ${step.status}, memory ${step.memory_bytes === null ? "unknown" : bytes(step.memory_bytes)}, free disk ${bytes(step.disk_free_bytes)}, lag at most ${duration(step.lag_s)}`}
          />
        ))}
      </div>
      <p className="mt-1 flex justify-between text-soft text-xs">
        <span>{moment(first.at)}</span>
        <span>most {bytes(most)}</span>
        {last !== first && <span>{moment(last.at)}</span>}
      </p>
    </figure>
  );
}

/** For how long something was not well. */
function said(steps: readonly Step[]): string {
  const lasted = (status: string) => steps.filter((step) => step.status === status).length * STEP_S;
  const bad = ["failed", "degraded"].filter((status) => lasted(status) > 0);
  if (bad.length === 0) return `ok for ${duration(steps.length * STEP_S)}`;
  return bad.map((status) => `${status} within ${duration(lasted(status))}`).join(", ");
}
