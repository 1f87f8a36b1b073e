import { describe, expect, it } from "vitest";
import { KEPT, withMore } from "./alerts";
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
});
