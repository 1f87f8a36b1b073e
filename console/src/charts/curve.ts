/** Options of curves over a plain axis: precision against recall, observed against predicted. */

import type uPlot from "uplot";
import type { Options } from "uplot";
import { axis, type Titles } from "./axes";
import type { Ink } from "./Plot";

export interface Curve {
  label: string;
  /** A colour of the theme. */
  colour: string;
  dashed?: boolean;
  dots?: boolean;
}

/** Curves between 0 and 1 on both axes; the first series of the data is x. */
export function unitCurves(titles: Titles, curves: readonly Curve[]): (ink: Ink) => Omit<Options, "width" | "height"> {
  return (ink) => ({
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 12, 0, 0],
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1] } },
    axes: [axis(ink, titles.x, { size: 24 }), axis(ink, titles.y, { size: 36 })],
    series: [{}, ...curves.map((curve) => line(ink, curve))],
  });
}

function line(ink: Ink, { label, colour, dashed, dots }: Curve): uPlot.Series {
  return {
    label,
    stroke: ink.of(colour),
    width: dashed ? 1 : 2,
    spanGaps: true,
    ...(dashed ? { dash: [4, 4] } : {}),
    points: dots ? { show: true, size: 6, fill: ink.of(colour) } : { show: false },
  };
}
