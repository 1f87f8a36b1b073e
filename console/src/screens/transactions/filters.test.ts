import { describe, expect, it } from "vitest";
import { asField, fromField, isFiltered, query } from "./filters";

describe("filters of transactions", () => {
  it("ask for an entity only together with its key", () => {
    expect(query({ entity: "customer" })).toEqual({
      decision: undefined,
      rule: undefined,
      from: undefined,
      to: undefined,
    });
    expect(query({ entity: "customer", key: "c1" })).toMatchObject({ entity: "customer", key: "c1" });
    expect([isFiltered({ entity: "customer" }), isFiltered({ decision: "block" })]).toEqual([false, true]);
  });

  it("keep a moment through the field of a form, in any zone", () => {
    const at = "2026-11-22T00:30:00.000Z";
    expect(fromField(asField(at))).toBe(at);
  });

  it("take what is no moment for none", () => {
    expect([asField("soon"), asField(undefined), fromField("")]).toEqual(["", "", undefined]);
  });
});
