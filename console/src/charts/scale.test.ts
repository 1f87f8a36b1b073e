import { describe, expect, it } from "vitest";
import { places, roundTop } from "./scale";

describe("the scale of an axis", () => {
  it("ends at a round number that is at least the largest value", () => {
    expect([0.31, 1, 703, 167_770, 1e6].map(roundTop)).toEqual([0.4, 1, 800, 200_000, 1e6]);
  });

  it("has a height where there is nothing", () => {
    expect([0, Number.NaN, -3].map(roundTop)).toEqual([1, 1, 1]);
  });

  it("names the first and the last column, and some between", () => {
    expect(places(30, 4)).toEqual([0, 10, 19, 29]);
    expect(places(3, 5)).toEqual([0, 1, 2]);
    expect([places(1, 4), places(0, 4)]).toEqual([[0], []]);
  });
});
