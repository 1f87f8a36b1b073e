/** A canvas chart (uPlot), loaded when the first one is shown; redrawn in the theme of the page and the width of its place. */

import { useEffect, useRef } from "react";
import type uPlot from "uplot";
import type { AlignedData, Options } from "uplot";
import { useTheme } from "~/ui/theme";
import "uplot/dist/uPlot.min.css";

/** The colours of the theme, as they are now. */
export interface Ink {
  of: (name: string) => string;
}

interface Props {
  /** What it shows, for those who do not see it: in a sentence, with the newest or largest figures. */
  label: string;
  height: number;
  data: AlignedData;
  /** The chart's options without its size; called again when the theme changes. `library` has the builders of paths. */
  options: (ink: Ink, library: typeof uPlot) => Omit<Options, "width" | "height">;
}

/** One chart. `options` should keep its identity between draws (useCallback), or the chart is made anew. */
export function Plot({ label, height, data, options }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const newest = useRef(data);
  const theme = useTheme();
  newest.current = data;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes what `ink` reads from the page
  useEffect(() => {
    const node = place.current;
    if (!node) return;
    let gone = false;
    const watched = new ResizeObserver(() => chart.current?.setSize({ width: node.clientWidth, height }));
    void import("uplot").then(({ default: UPlot }) => {
      if (gone) return;
      chart.current = new UPlot({ ...options(ink(), UPlot), width: node.clientWidth, height }, newest.current, node);
      watched.observe(node);
    });
    return () => {
      gone = true;
      watched.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [options, height, theme]);

  useEffect(() => {
    chart.current?.setData(data);
  }, [data]);

  return <div ref={place} role="img" aria-label={label} style={{ height }} className="w-full overflow-hidden" />;
}

/** The colours of the page's theme by name ("approve", "line"). */
export function ink(): Ink {
  const styles = getComputedStyle(document.documentElement);
  return { of: (name) => styles.getPropertyValue(`--${name}`).trim() };
}
