import { describe, expect, it } from "vitest";
import { consequences } from "./consequences";

const tried = { changed: 0, lowered: 0, lowered_per_day: 0, days: 30, then: "review" };

describe("the consequences of a rule", () => {
  it("lead with what becomes less strict, and say to what", () => {
    const found = consequences({ ...tried, changed: 500, lowered: 480, lowered_per_day: 16, then: "allow" });
    expect(found).toEqual({
      lowered: "16 stricter decisions a day become approvals (480 in 30 days)",
      raised: "0.7 less strict decisions a day become approvals (20 in 30 days)",
    });
  });

  it("are none where nothing changes, and never rounded to none", () => {
    expect(consequences(tried)).toEqual({ lowered: null, raised: null });
    const rare = consequences({ ...tried, changed: 1, days: 30 });
    expect(rare.raised).toBe("fewer than 0.1 less strict decisions a day become reviews (1 in 30 days)");
  });
});
