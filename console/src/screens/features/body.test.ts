import { describe, expect, it } from "vitest";
import { bodyOf, draftOf, EMPTY, inWords, isBegun } from "./body";

const COUNT = { ...EMPTY, name: "night_count", entity: "customer", window: "7d", where: "hour(timestamp) < 6" };

describe("what is sent of a feature", () => {
  it("is what its kind has, and no more", () => {
    expect(bodyOf({ ...COUNT, field: "amount" })).toEqual({
      kind: "count",
      entity: "customer",
      window: "7d",
      where: "hour(timestamp) < 6",
    });
    expect(bodyOf({ ...COUNT, kind: "since_first", where: "", delay: "1d", current: false })).toEqual({
      kind: "since_first",
      entity: "customer",
    });
  });

  it("names the fields of the key of a new entity", () => {
    const made = { ...COUNT, where: "", entity: "", newEntity: "device", keys: "device_id, merchant_id" };
    expect(bodyOf(made)).toEqual({ kind: "count", entity: "device", keys: ["device_id", "merchant_id"], window: "7d" });
  });

  it("is the expression alone where it is derived", () => {
    expect(bodyOf({ ...COUNT, form: "derived", derive: " amount / 2 " })).toEqual({ derive: "amount / 2" });
  });

  it("counts other events and labels by when they became known only where somebody says so", () => {
    const logins = { ...COUNT, where: "", of: "Login" };
    expect(bodyOf(logins)).toEqual({ kind: "count", entity: "customer", window: "7d", of: ["Login"] });
    const frauds = bodyOf({ ...COUNT, where: "", kind: "label_count", by: "known" });
    expect(frauds.by).toBe("known");
    expect(inWords(frauds)).toBe("label_count by customer, 7d, by when labels became known");
  });

  it("says which quantile, and of how many values", () => {
    const p90 = { ...COUNT, where: "", kind: "quantile" as const, field: "amount", q: "0.9", most: "200" };
    const body = bodyOf(p90);
    expect(body).toEqual({ kind: "quantile", entity: "customer", field: "amount", window: "7d", q: 0.9, most: 200 });
    expect(bodyOf(draftOf("p90", body, ["customer"]))).toEqual(body);
    expect(inWords(body)).toBe("quantile 0.9 of amount by customer, 7d, of the newest 200 values");
    expect(bodyOf({ ...p90, kind: "session_count", delay: "1d" })).toEqual({
      kind: "session_count",
      entity: "customer",
      window: "7d",
    });
  });

  it("is said again by a draft that starts from it", () => {
    const body = bodyOf({ ...COUNT, kind: "sum", field: "amount", current: false });
    expect(bodyOf(draftOf("night_sum", body, ["customer"]))).toEqual(body);
  });
});

it("a feature is asked about as soon as its name and its parts can be meant", () => {
  expect([isBegun(COUNT), isBegun({ ...COUNT, name: "9" }), isBegun({ ...COUNT, kind: "sum" })]).toEqual([
    true,
    false,
    false,
  ]);
});

it("says a feature in one line", () => {
  expect(inWords({ kind: "sum", field: "amount", entity: "customer", window: "24h", current: false })).toBe(
    "sum of amount by customer, 24h, without the event itself",
  );
  expect(inWords({ derive: "amount / 2" })).toBe("amount / 2");
});
