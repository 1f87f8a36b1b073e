import { describe, expect, it } from "vitest";
import { powers } from "./bars";

describe("bars", () => {
  it("have lines at powers of ten", () => {
    expect(powers(0.5, 1000)).toEqual([1, 10, 100, 1000]);
    expect(powers(2, 9)).toEqual([]);
  });
});
