import { describe, expect, it } from "vitest";
import { csvOf, type Impact } from "./csv";

const some = (count: number, amount: number | null) => ({ count, amount });
const impact = {
  currency: "EUR",
  weeks: [
    {
      from: "2026-02-05T00:00:00Z", to: "2026-02-12T00:00:00Z", decisions: 7, blocks: 4, loss: some(1, 100),
      prevented: some(2, 1700.5), false_positives: some(1, 700), unknown_blocks: 1, review_rate: 0.125, review_hours: null,
      chargeback_rate: 0.01, known: 5,
    }, // biome-ignore format: one week
  ],
  rules: [{ name: "=cmd", fires: 4, prevented: some(2, null), false_positives: some(0, 0) }],
} as unknown as Impact;

describe("impact as CSV", () => {
  it("has a row for each week and rule under one heading", () => {
    const [header, week, rule, rest] = csvOf(impact).split("\r\n");
    expect(header?.split(",").length).toBe(week?.split(",").length);
    expect(week).toBe("week,,2026-02-05T00:00:00Z,2026-02-12T00:00:00Z,7,4,,100,1,1700.5,2,700,1,1,0.125,,0.01,EUR");
    expect(rule).toBe("rule,'=cmd,,,,,4,,,,2,0,0,,,,,EUR");
    expect(rest).toBe("");
  });
});
