/** Options of bar charts: counts over time, and counts by bin, with what was stopped in front. */

import type uPlot from "uplot";
import type { Options } from "uplot";
import { formatted, timeZone } from "~/words/zones";
import type { Ink } from "./Plot";
import { colourOf, type OutcomeName } from "./series";

const FONT = "11px Inter, system-ui, sans-serif";

export type Build = (ink: Ink, library: typeof uPlot) => Omit<Options, "width" | "height">;

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

/** Bars, each from the foot of the axis. */
function bar(name: string, colour: string, library: typeof uPlot): uPlot.Series {
  const paths = library.paths.bars?.({ size: [0.86, 60], align: 0 });
  return { label: name, fill: colour, stroke: colour, width: 0, points: { show: false }, ...(paths && { paths }) };
}

/** Outcomes over time, stacked; `names` from the base upwards. `span` is the range of time in seconds, `hover` hears of a place. */
export function stackOptions(
  names: readonly OutcomeName[],
  span: () => [number, number],
  hover: (place: number | null) => void,
): Build {
  return (ink, library) => ({
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    padding: [8, 8, 0, 0],
    tzDate: (seconds) => library.tzDate(new Date(seconds * 1000), timeZone()),
    scales: {
      x: { time: true, range: () => span() },
      y: { range: (_chart, _min, max) => [0, Math.max(4, max * 1.08)] },
    },
    axes: [
      axis(ink, { grid: { show: false }, space: 64, size: 24, values: times }),
      axis(ink, { values: counts, size: 48, space: 34 }),
    ],
    series: [{}, ...[...names].reverse().map((name) => bar(name, ink.of(colourOf(name)), library))],
    hooks: { setCursor: [(chart) => hover(chart.cursor.idx ?? null)] },
  });
}

/** Counts by bin on a logarithmic axis: all of them, and in front, from the same foot, those that were stopped. */
export function binOptions(title: (place: number) => string, ticks: (places: number[]) => (string | null)[]): Build {
  return (ink, library) => ({
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
      axis(ink, { values: counts, size: 44, splits: (_chart, _axis, low, high) => powers(low, high) }),
    ],
    series: [{ label: title(0) }, bar("all", ink.of("accent"), library), bar("stopped", ink.of("block"), library)],
  });
}

/** The powers of ten between two numbers. */
export function powers(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => 10 ** (first + n));
}

const CLOCK = { hour: "2-digit", minute: "2-digit" } as const;
const DAY = { day: "numeric", month: "short" } as const;

/** Times in the zone that was chosen: of the day, or days where the steps are that long. */
function times(_chart: uPlot, places: number[], _axis: number, _space: number, step: number): string[] {
  const form = step >= 86_400 ? DAY : CLOCK;
  return places.map((each) => (step < 60 && each % 60 !== 0 ? "" : formatted(new Date(each * 1000), form)));
}
