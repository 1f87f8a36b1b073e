/** Options of bar charts: counts over time, and counts by bin, with what was stopped in front. */

import type uPlot from "uplot";
import type { Options } from "uplot";
import type { Ink } from "./Plot";
import type { OutcomeName } from "./series";

const FONT = "11px system-ui, sans-serif";

type Build = (ink: Ink) => Omit<Options, "width" | "height">;

/** Axes in the colours of the theme. */
function axis(ink: Ink, more: uPlot.Axis = {}): uPlot.Axis {
  return {
    stroke: ink.of("soft"),
    font: FONT,
    grid: { stroke: ink.of("line"), width: 1 },
    ticks: { show: false },
    ...more,
  };
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function counts(_chart: uPlot, values: number[]): string[] {
  return values.map((each) => (each === null || each % 1 !== 0 ? "" : COMPACT.format(each)));
}

/** Bars over the bins of an axis; on a logarithmic axis a bar reaches from its foot. */
function bars(): uPlot.Series.PathBuilder {
  return (chart, place, from, to) => {
    const Chart = chart.constructor as typeof uPlot;
    const build = Chart.paths.bars?.({ size: [0.86, 60], align: 0 });
    return build?.(chart, place, from, to) ?? null;
  };
}

function bar(name: string, colour: string): uPlot.Series {
  return { label: name, fill: colour, stroke: colour, width: 0, paths: bars(), points: { show: false } };
}

/** Outcomes over time, stacked; `names` from the base upwards. `span` is the range of time in seconds, `hover` hears of a place. */
export function stackOptions(
  names: readonly OutcomeName[],
  span: () => [number, number],
  hover: (place: number | null) => void,
): Build {
  return (ink) => ({
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: true, range: () => span() },
      y: { range: (_chart, _min, max) => [0, Math.max(4, max * 1.08)] },
    },
    axes: [
      axis(ink, { grid: { show: false }, space: 70, size: 32 }),
      axis(ink, { values: counts, size: 48, space: 34 }),
    ],
    series: [{}, ...[...names].reverse().map((name) => bar(name, ink.of(name)))],
    hooks: { setCursor: [(chart) => hover(chart.cursor.idx ?? null)] },
  });
}

/** Counts by bin on a logarithmic axis: all of them, and in front, from the same foot, those that were stopped. */
export function binOptions(title: (place: number) => string, ticks: (places: number[]) => (string | null)[]): Build {
  return (ink) => ({
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: false, range: (_chart, min, max) => [min - 0.6, max + 0.6] },
      y: {
        distr: 3,
        log: 10,
        range: (_chart, _min, max) => [0.5, 10 ** Math.ceil(Math.log10(Math.max(10, max ?? 10)))],
      },
    },
    axes: [
      axis(ink, {
        grid: { show: false },
        size: 30,
        splits: (chart) => [...(chart.data[0] ?? [])],
        values: (_chart, places) => ticks(places),
        space: 0,
      }),
      axis(ink, { values: counts, size: 44, space: 26, filter: powers }),
    ],
    series: [{ label: title(0) }, bar("all", ink.of("accent")), bar("stopped", ink.of("block"))],
  });
}

function powers(_chart: uPlot, splits: number[]): (number | null)[] {
  return splits.map((each) => (Number.isInteger(Math.log10(each)) ? each : null));
}
