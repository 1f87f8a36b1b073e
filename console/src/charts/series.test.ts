import { describe, expect, it } from "vitest";
import { all, localHours, STACK, stacked, stopped } from "./series";

const points = [
  { approve: 90, challenge: 1, review: 2, block: 3 },
  { approve: 10, challenge: 0, review: 0, block: 5 },
];

describe("series", () => {
  it("stack outcomes from the base, the sum of all first", () => {
    expect(stacked([0, 5], points, STACK)).toEqual([
      [0, 5],
      [96, 15],
      [6, 5],
      [5, 5],
      [3, 5],
    ]);
  });

  it("tell what was stopped from everything", () => {
    expect(points.map((point) => [all(point), stopped(point)])).toEqual([
      [96, 6],
      [15, 5],
    ]);
  });

  it("turn hours into the viewer's, and leave them where that is no whole hour", () => {
    const bins = Array.from({ length: 24 }, (_, hour) => ({ hour, n: hour }));
    expect(localHours(bins, 120)[2]?.n).toBe(0);
    expect(localHours(bins, -60)[23]?.n).toBe(0);
    expect(localHours(bins, 330)).toBe(bins);
  });
});
