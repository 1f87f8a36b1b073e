/** Axes of canvas charts, in the colours of the theme: each says in its title what it measures, and in which unit or zone. */

import type uPlot from "uplot";
import type { Ink } from "./Plot";

const FONT = "11px Inter, system-ui, sans-serif";
const TITLE = 16;

/** What the axes of a chart measure, such as "decisions per 5 s" and "time, UTC". */
export interface Titles {
  x: string;
  y: string;
}

/** An axis with its title. */
export function axis(ink: Ink, title: string, more: uPlot.Axis = {}): uPlot.Axis {
  return {
    label: title,
    labelSize: TITLE,
    labelGap: 0,
    labelFont: FONT,
    stroke: ink.of("soft"),
    font: FONT,
    grid: { stroke: ink.of("line"), width: 1 },
    ticks: { show: false },
    ...more,
  };
}
