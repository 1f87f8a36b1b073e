import { describe, expect, it } from "vitest";
import type { Decision } from "~/api/transactions";
import { featureRows, found } from "./features";

const decision = {
  features: { count_last_1h: 4, is_night: false },
  explanation: { contributions: [{ feature: "count_last_1h", value: 4, contribution: 1.5 }] },
} as unknown as Decision;

describe("features of a decision", () => {
  it("stand with what they are and how far they moved the score", () => {
    const rows = featureRows(decision, [
      {
        name: "count_last_1h",
        label: "payments within an hour",
        unit: "count",
        type: "number",
        entity: "customer",
        aggregate: "count",
        field: null,
        window: "1h",
      },
    ]);
    expect(rows).toEqual([
      {
        name: "count_last_1h",
        label: "payments within an hour",
        value: 4,
        unit: "count",
        contribution: 1.5,
        about: "customer: count, last 1h",
      },
      { name: "is_night", label: "is night", value: false, unit: null, contribution: null, about: "" },
    ]);
  });

  it("are found by parts of their names, in any order", () => {
    const rows = [{ name: "count_last_1h" }, { name: "amount_last_1h" }];
    expect(found(rows, "1h count")).toEqual([rows[0]]);
    expect(found(rows, " ")).toBe(rows);
    expect(found([{ name: "n", label: "payments within an hour" }], "hour payments")).toHaveLength(1);
  });
});
