import { describe, expect, it } from "vitest";
import { binOptions, outlines, powers, stackOptions } from "./bars";
import { unitCurves } from "./curve";

describe("bars", () => {
  it("have lines at powers of ten", () => {
    expect(powers(0.5, 1000)).toEqual([1, 10, 100, 1000]);
    expect(powers(2, 9)).toEqual([]);
  });

  it("are outlined from the left edge of the first to the right edge of the last, empty ones below the axis", () => {
    expect(outlines([[3, 0, 7]])).toEqual([
      [-0.5, 0.5, 1.5, 2.5],
      [3, 0.1, 7, 7],
    ]);
    expect(outlines([])).toEqual([[-0.5]]);
  });

  it("have axes that say what they measure, as curves do", () => {
    const ink = { of: () => "#000000" };
    const library = { paths: {} } as never;
    const titles = { x: "time, UTC", y: "decisions per 5 s" };
    const charts = [
      stackOptions(
        titles,
        ["block"],
        () => [0, 1],
        () => undefined,
      )(ink, library),
      binOptions(titles, () => [], [{ name: "all", colour: "accent" }])(ink, library),
      unitCurves(titles, [])(ink),
    ];
    expect(charts.map((chart) => chart.axes?.map((axis) => axis.label))).toEqual(
      Array(3).fill(["time, UTC", "decisions per 5 s"]),
    );
  });
});
