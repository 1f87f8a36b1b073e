/** Counts by bin: all of them, and those that were stopped. Logarithmic, so that few can be seen beside many. */

import { useMemo } from "react";
import type { AlignedData } from "uplot";
import { t } from "~/words/language";
import { count } from "~/words/numbers";
import { binOptions, outlines } from "./bars";
import { Plot } from "./Plot";
import { all, type OutcomeCounts, stopped } from "./series";

/** What the outlines are, for a legend too. */
export const OUTLINES = [
  { name: "all", colour: "accent" },
  { name: "stopped", colour: "block" },
] as const;

interface Props<T extends OutcomeCounts> {
  /** What is counted, such as "Transactions by hour of the day". */
  label: string;
  /** What the bins are of, with its unit or zone: the title of the axis. */
  x: string;
  bins: readonly T[];
  /** The name of a bin, under the axis; null where it has none. */
  tick: (bin: T, place: number) => string | null;
  /** The name of a bin in full. */
  name: (bin: T) => string;
  height?: number;
}

export function Histogram<T extends OutcomeCounts>({ label, x, bins, tick, name, height = 170 }: Props<T>) {
  const data = useMemo<AlignedData>(() => outlines([bins.map(all), bins.map(stopped)]), [bins]);
  const ticks = bins.map((bin, n) => tick(bin, n)).join("|");
  const options = useMemo(() => {
    const names = ticks.split("|");
    return binOptions({ x, y: t("decisions (log scale)") }, () => names.map((each) => each || null), OUTLINES);
  }, [x, ticks]);
  return <Plot label={`${label}. ${largest(bins, name)}`} height={height} data={data} options={options} />;
}

/** The fullest bin, in words. */
function largest<T extends OutcomeCounts>(bins: readonly T[], name: (bin: T) => string): string {
  const most = [...bins].sort((one, other) => all(other) - all(one))[0];
  if (!most || all(most) === 0) return t("Nothing yet.");
  const sum = bins.reduce((total, bin) => total + stopped(bin), 0);
  return t("Most in {most}: {most2}. Stopped in all bins: {sum}.", {
    most: name(most),
    most2: count(all(most)),
    sum: count(sum),
  });
}
