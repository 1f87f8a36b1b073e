import { describe, expect, it } from "vitest";
import { grouped, KEPT, withMore } from "./alerts";
import type { LiveAlert } from "./feed";

const alert = (number: number) => ({ number, key: `k${number}` }) as LiveAlert;
const none = { newest: [], told: 0 };

describe("alerts", () => {
  it("are kept newest first, each counted once", () => {
    const some = withMore(none, [alert(1), alert(2)]);
    const again = withMore(some, [alert(2), alert(3)]);
    expect(again.newest.map((each) => each.number)).toEqual([3, 2, 1]);
    expect(again.told).toBe(3);
  });

  it("are counted beyond those that are kept", () => {
    const many = withMore(
      none,
      Array.from({ length: KEPT + 50 }, (_, n) => alert(n)),
    );
    expect([many.newest.length, many.told, many.newest[0]?.number]).toEqual([KEPT, KEPT + 50, KEPT + 49]);
  });

  it("stay the same object where nothing is new", () => {
    const some = withMore(none, [alert(1)]);
    expect(withMore(some, [alert(1)])).toBe(some);
  });

  it("are grouped by rule and subject, the newest group first", () => {
    const about = (number: number, rule: string, merchant: string) =>
      ({ ...alert(number), rule, detector: "banking", about: { merchant } }) as LiveAlert;
    const groups = grouped([
      about(4, "burst", "a"),
      about(3, "burst", "b"),
      about(2, "rate", "a"),
      about(1, "burst", "a"),
    ]);
    expect(groups.map((group) => group.alerts.map((each) => each.number))).toEqual([[4, 1], [3], [2]]);
  });
});
