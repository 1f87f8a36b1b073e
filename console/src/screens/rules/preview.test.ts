import { describe, expect, it } from "vitest";
import type { Tried } from "./draft";
import { funnel, good, lowering, notKnown, signed } from "./preview";

const TRIED = {
  read: 10_000,
  matched: 100,
  new: 25,
  changed: 50,
  truth: { fraud: 10, good: 4, unobjected: 6, young: 70, untold: 10 },
} as Tried;

describe("a preview", () => {
  it("is a funnel: each stage beside the one that it is a part of", () => {
    expect(funnel(TRIED).map((stage) => [stage.name, stage.count, stage.share])).toEqual([
      ["Events read", 10_000, null],
      ["Matched", 100, 0.01],
      ["New", 25, 0.25],
      ["Changed", 50, 0.5],
    ]);
  });

  it("shows a hundredth as a tenth of the width, and nothing of nothing", () => {
    expect(funnel(TRIED)[1]?.width).toBeCloseTo(0.1);
    expect(funnel({ ...TRIED, read: 0, matched: 0, new: 0, changed: 0 }).every((stage) => stage.width === 0)).toBe(
      true,
    );
  });

  it("counts as good who was said to be and whom nobody objected to, and keeps apart what is not known", () => {
    expect([good(TRIED.truth), notKnown(TRIED.truth)]).toEqual([10, 80]);
  });

  it("says how many outcomes it lowers, and how many a day", () => {
    expect(lowering({ lowered: 1408, lowered_per_day: 46.93 })).toBe("1,408 become less strict, 47 a day");
    expect(lowering({ lowered: 3, lowered_per_day: 0.1 })).toBe("3 become less strict, 0.1 a day");
    expect(funnel({ ...TRIED, lowered: 48, lowered_per_day: 1.6 })[3]?.about).toBe("48 become less strict, 1.6 a day");
  });

  it("gives changes their sign", () => {
    expect([signed(4), signed(-2.25), signed(0), signed(1234.4)]).toEqual(["+4", "−2.3", "0", "+1,234"]);
  });
});
