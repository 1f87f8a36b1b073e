/** Counts by bin: all of them, and in front those that were stopped. Logarithmic, so that few can be seen beside many. */

import { useCallback, useMemo } from "react";
import type { AlignedData } from "uplot";
import { count } from "~/words/numbers";
import { type Build, binOptions } from "./bars";
import { Plot } from "./Plot";
import { all, type OutcomeCounts, stopped } from "./series";

interface Props<T extends OutcomeCounts> {
  /** What is counted, such as "Transactions by hour of the day". */
  label: string;
  bins: readonly T[];
  /** The name of a bin, under the axis; null where it has none. */
  tick: (bin: T, place: number) => string | null;
  /** The name of a bin in full. */
  name: (bin: T) => string;
  height?: number;
}

export function Histogram<T extends OutcomeCounts>({ label, bins, tick, name, height = 170 }: Props<T>) {
  const data = useMemo<AlignedData>(
    () => [bins.map((_, n) => n), bins.map((bin) => all(bin) || null), bins.map((bin) => stopped(bin) || null)],
    [bins],
  );
  const ticks = bins.map((bin, n) => tick(bin, n)).join("|");
  const options = useCallback<Build>(
    (ink, library) => {
      const names = ticks.split("|");
      return binOptions(
        () => label,
        (places) => places.map((place) => names[place] || null),
      )(ink, library);
    },
    [label, ticks],
  );
  return <Plot label={`${label}. ${largest(bins, name)}`} height={height} data={data} options={options} />;
}

/** The fullest bin, in words. */
function largest<T extends OutcomeCounts>(bins: readonly T[], name: (bin: T) => string): string {
  const most = [...bins].sort((one, other) => all(other) - all(one))[0];
  if (!most || all(most) === 0) return "Nothing yet.";
  const sum = bins.reduce((total, bin) => total + stopped(bin), 0);
  return `Most in ${name(most)}: ${count(all(most))}. Stopped in all bins: ${count(sum)}.`;
}
