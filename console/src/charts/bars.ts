/** Options of charts of counts: over time as stacked bars, and by bin as outlines on a logarithmic axis. */

import type uPlot from "uplot";
import type { AlignedData, Options } from "uplot";
import { formatted, timeZone } from "~/words/zones";
import { axis, type Titles } from "./axes";
import type { Ink } from "./Plot";
import { colourOf, type OutcomeName } from "./series";

export type Build = (ink: Ink, library: typeof uPlot) => Omit<Options, "width" | "height">;

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
  titles: Titles,
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
      axis(ink, titles.x, { grid: { show: false }, space: 64, size: 24, values: times }),
      axis(ink, titles.y, { values: counts, size: 40, space: 34 }),
    ],
    series: [{}, ...[...names].reverse().map((name) => bar(name, ink.of(colourOf(name)), library))],
    hooks: { setCursor: [(chart) => hover(chart.cursor.idx ?? null)] },
  });
}

/** One count by bin: its name and a colour of the theme. */
export interface Outline {
  name: string;
  colour: string;
  dashed?: boolean;
}

/** Where a logarithmic axis of counts begins: below one, so that a bin with one can be told from an empty one. */
const FOOT = 0.5;
/** Where an empty bin is drawn: below the axis, so that it leaves no line on it. */
const NOTHING = 0.1;

/**
 * Counts by bin on a logarithmic axis, as outlines and not as bars: there the height of a line can be read, while the length
 * of a bar means nothing. The data are those of `outlines`.
 */
export function binOptions(
  titles: Titles,
  ticks: (places: number[]) => (string | null)[],
  series: readonly Outline[],
): Build {
  return (ink, library) => ({
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: false, range: (_chart, min, max) => [min - 0.1, max + 0.1] },
      y: {
        distr: 3,
        log: 10,
        range: (_chart, _min, max) => [FOOT, 10 ** Math.ceil(Math.log10(Math.max(10, max ?? 10)))],
      },
    },
    axes: [
      axis(ink, titles.x, {
        grid: { show: false },
        size: 24,
        splits: (chart) => Array.from(chart.data[0] ?? [], (edge) => edge + 0.5).slice(0, -1),
        values: (_chart, places) => ticks(places),
        space: 0,
      }),
      axis(ink, titles.y, { values: counts, size: 40, splits: (_chart, _axis, low, high) => powers(low, high) }),
    ],
    series: [{}, ...series.map((each) => outline(each, ink.of(each.colour), library))],
  });
}

/** How opaque the area under an outline is, as the end of a colour in hexadecimal figures. */
const FAINT = "1f";

function outline({ name, dashed }: Outline, colour: string, library: typeof uPlot): uPlot.Series {
  const paths = library.paths.stepped?.({ align: 1 });
  return {
    label: name,
    stroke: colour,
    width: 2,
    points: { show: false },
    ...(dashed && { dash: [4, 3] }),
    ...(!dashed && { fill: `${colour}${FAINT}` }),
    ...(paths && { paths }),
  };
}

/** Counts by bin as the edges of their outline: each bin from its left edge on, the last to its right one. */
export function outlines(counts: readonly (readonly number[])[]): AlignedData {
  const bins = counts[0]?.length ?? 0;
  const heights = counts.map((each) => {
    const shown = each.map((n) => (n > 0 ? n : NOTHING));
    return [...shown, shown.at(-1) ?? NOTHING];
  });
  return [Array.from({ length: bins + 1 }, (_, n) => n - 0.5), ...heights];
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
