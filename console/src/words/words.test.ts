import { describe, expect, it } from "vitest";
import { count, fileSize, money, percent, plural, quantity, UNKNOWN, value, words } from "./numbers";
import { ago, duration, moment, utc } from "./times";

describe("numbers", () => {
  it("shows what is not known as a dash, and zero as zero", () => {
    expect([count(null), percent(undefined), money(null), value(null)]).toEqual([UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]);
    expect([count(0), percent(0), money(0), value(0)]).toEqual(["0", "0.0 %", "0.00", "0"]);
  });

  it("keeps counts exact below a million", () => {
    expect([count(999_999), count(1_250_000)]).toEqual(["999,999", "1.3M"]);
  });

  it("never shows a small share as none", () => {
    expect([percent(0.00001), percent(0.0123), percent(0.5)]).toEqual(["<0.01 %", "1.23 %", "50.0 %"]);
  });

  it("names the currency, also one that nobody knows", () => {
    expect([money(12.5, "EUR"), money(12.5, "POINTS"), money(12.5)]).toEqual(["€12.50", "12.50 POINTS", "12.50"]);
  });

  it("says values of features in their unit", () => {
    const said = [
      quantity(10_628.95, "duration"),
      quantity(1.238, "duration"),
      quantity(8003, "km"),
      quantity(2.5, "times"),
      quantity(0.25, "share"),
      quantity(3, "count"),
      quantity(null, "duration"),
      quantity(true, null),
    ];
    expect(said).toEqual(["3 h", "1.2 s", "8,003 km", "2.5 ×", "25.0 %", "3", UNKNOWN, "yes"]);
  });

  it("says the size of a file in the unit that it has", () => {
    expect([fileSize(1), fileSize(1_536), fileSize(1_234_567)]).toEqual(["1 B", "1.536 kB", "1.235 MB"]);
  });

  it("writes names as words and counts in the right number", () => {
    expect([words("amount_to_max"), plural(1, "review"), plural(2, "review")]).toEqual([
      "amount to max",
      "1 review",
      "2 reviews",
    ]);
  });
});

describe("times", () => {
  it("writes durations in the unit that fits", () => {
    expect([5, 90, 3600, 200_000].map((s) => duration(s))).toEqual(["5 s", "1.5 min", "1 h", "2.3 d"]);
  });

  it("name the day of another day and the year of another year", () => {
    const now = new Date(2026, 10, 22, 12);
    const told = [new Date(2026, 10, 22, 9, 5, 7), new Date(2026, 0, 2, 9, 5), new Date(2024, 0, 2, 9, 5)];
    expect(told.map((each) => moment(each, now))).toEqual(["09:05:07", "2 Jan, 09:05", "2 Jan 2024, 09:05"]);
  });

  it("never says that something lies ahead when it is past", () => {
    expect(ago(Date.now() + 5000)).toBe("0 s ago");
  });

  it("shows UTC as it stands in the records", () => {
    expect(utc("2026-11-22T00:34:51.971Z")).toBe("2026-11-22 00:34:51.971 UTC");
  });
});
