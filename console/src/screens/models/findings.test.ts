import { describe, expect, it } from "vitest";
import type { Schemas } from "~/api/client";
import { byAdvice } from "./findings";

function finding(column: string, alarm: boolean, advice: Schemas["Finding"]["advice"]): Schemas["Finding"] {
  return { kind: "shift", column, alarm, advice, because: "of it", text: `${column} has moved`, models: {}, rules: [] };
}

describe("findings", () => {
  it("stand together by what to do, alarms first, in the order of the report", () => {
    const groups = byAdvice([
      finding("hour", false, "nothing"),
      finding("amount", true, "retrain"),
      finding("place", true, "look at the source"),
      finding("merchant", true, "retrain"),
    ]);
    expect(groups.map((group) => [group.advice, group.findings.map((each) => each.column)])).toEqual([
      ["retrain", ["amount", "merchant"]],
      ["look at the source", ["place"]],
      ["nothing", ["hour"]],
    ]);
  });
});
