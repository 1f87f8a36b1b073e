import { useMemo, useRef, useState } from "react";
import type { AlignedData } from "uplot";
import { type Asking, type Series, useSeries } from "~/api/insights";
import { stackOptions } from "~/charts/bars";
import { Legend } from "~/charts/Legend";
import { Plot } from "~/charts/Plot";
import { all, colourOf, type OutcomeName, STACK, stacked } from "~/charts/series";
import { Asked } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count, percent, words } from "~/words/numbers";
import { duration, moment } from "~/words/times";
import { useTimeZone, zone } from "~/words/zones";

const STOPPED: readonly OutcomeName[] = ["block", "review", "challenge"];

/** What was decided over time: everything, and below it what was stopped, on an axis of its own. */
export function OutcomeChart({ asking, className }: { asking: Asking; className?: string }) {
  const series = useSeries(asking);
  return (
    <Panel
      title={t("Outcomes")}
      about={
        series.data
          ? t("Decisions in each {step}; times in {zone}", { step: duration(series.data.step), zone: zone() })
          : t("Decisions over time")
      }
      className={className}
    >
      <Asked of={series} height={382}>
        {(found) => <Outcomes of={found} />}
      </Asked>
    </Panel>
  );
}

function Outcomes({ of: found }: { of: Series }) {
  const [place, setPlace] = useState<number | null>(null);
  const span = useRef<[number, number]>([0, 1]);
  span.current = [began(found), seconds(found.to) + found.step / 2];
  const { x, everything, stops } = useMemo(() => drawn(found), [found]);
  const titles = useTitles(found.step);
  const optionsOfAll = useMemo(() => stackOptions(titles, STACK, () => span.current, setPlace), [titles]);
  const optionsOfStops = useMemo(() => stackOptions(titles, STOPPED, () => span.current, setPlace), [titles]);
  const at = place === null ? undefined : found.points[place];
  const sum = at ?? total(found);
  return (
    <div className="flex flex-col gap-1">
      <div className="flex min-h-10 flex-wrap items-center gap-x-4 gap-y-1 sm:min-h-5">
        <span className="figure w-28 text-soft text-xs">{at ? moment(at.at) : t("In all")}</span>
        <Legend of={STACK.map((name) => ({ name: words(name), colour: colourOf(name), value: count(sum[name]) }))} />
      </div>
      <Plot label={said(found, x.length)} height={206} data={everything} options={optionsOfAll} />
      <p className="text-soft text-xs">{t("Stopped: blocked, held for review or challenged")}</p>
      <Plot label={t("The same without what was approved.")} height={132} data={stops} options={optionsOfStops} />
    </div>
  );
}

/** What the axes measure. */
function useTitles(step: number) {
  const name = useTimeZone();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the name of the zone changes what zone() says
  return useMemo(
    () => ({ x: `time, ${zone()}`, y: t("decisions per {step}", { step: duration(step) }) }),
    [step, name],
  );
}

function drawn(found: Series): { x: number[]; everything: AlignedData; stops: AlignedData } {
  const x = found.points.map((point) => seconds(point.at) + found.step / 2);
  return { x, everything: stacked(x, found.points, STACK), stops: stacked(x, found.points, STOPPED) };
}

const LEAST = 12;

/** Where the axis of time begins, in seconds: where data begin within the range, and some steps before the newest at least. */
function began(found: Series): number {
  const first = found.points.findIndex((point) => all(point) > 0);
  const place = Math.min(Math.max(0, first), Math.max(0, found.points.length - LEAST));
  return seconds(found.points[place]?.at ?? found.from);
}

function total(found: Series) {
  const sum = { approve: 0, challenge: 0, review: 0, block: 0 };
  for (const point of found.points) for (const name of STACK) sum[name] += point[name];
  return sum;
}

function said(found: Series, points: number): string {
  const sum = total(found);
  const decided = all(sum);
  if (decided === 0) return t("Outcomes over time. Nothing was decided yet.");
  const outcomes = STACK.map((name) => `${words(name)} ${count(sum[name])} (${percent(sum[name] / decided)})`).join(
    ", ",
  );
  return t("Outcomes over time, in {points} steps. {outcomes}.", { points, outcomes });
}

function seconds(at: string): number {
  return new Date(at).getTime() / 1000;
}
