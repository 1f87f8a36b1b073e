import { describe, expect, it } from "vitest";
import { isFiltered, query } from "./filters";

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
});
