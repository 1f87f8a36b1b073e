/** Options of curves over a plain axis: precision against recall, observed against predicted. */

import type uPlot from "uplot";
import type { Options } from "uplot";
import type { Ink } from "./Plot";

const FONT = "11px Inter, system-ui, sans-serif";

export interface Curve {
  label: string;
  /** A colour of the theme. */
  colour: string;
  dashed?: boolean;
  dots?: boolean;
}

interface Axes {
  x: string;
  y: string;
}

/** Curves between 0 and 1 on both axes; the first series of the data is x. */
export function unitCurves(axes: Axes, curves: readonly Curve[]): (ink: Ink) => Omit<Options, "width" | "height"> {
  return (ink) => ({
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 12, 0, 0],
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1] } },
    axes: [axis(ink, axes.x), axis(ink, axes.y)],
    series: [{}, ...curves.map((curve) => line(ink, curve))],
  });
}

function axis(ink: Ink, label: string): uPlot.Axis {
  return {
    label,
    labelSize: 18,
    labelFont: FONT,
    stroke: ink.of("soft"),
    font: FONT,
    size: 36,
    grid: { stroke: ink.of("line"), width: 1 },
    ticks: { show: false },
  };
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
