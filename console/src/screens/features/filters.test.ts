import { expect, it } from "vitest";
import type { FeatureDefinition } from "~/api/definition";
import { bytes } from "./bytes";
import { filtered } from "./filters";

const nobody = { models: false, rules: [], features: [] };
const count = {
  name: "count_1h",
  type: "number",
  kind: "aggregate",
  entity: "customer",
  aggregate: "count",
  window: "1h",
};
const FEATURES = [
  { ...count, used_by: { ...nobody, rules: ["fourth_in_an_hour"] } },
  { name: "amount_ratio", type: "number", kind: "derived", expression: "amount / usual", made: true, used_by: nobody },
] as unknown as FeatureDefinition[];

const names = (filter: Parameters<typeof filtered>[1]) => filtered(FEATURES, filter).map((each) => each.name);

it("finds features by name, by definition and by who reads them", () => {
  expect(names({ find: "RATIO" })).toEqual(["amount_ratio"]);
  expect(names({ find: "usual" })).toEqual(["amount_ratio"]);
  expect(names({ find: "fourth" })).toEqual(["count_1h"]);
});

it("narrows by entity and by kind", () => {
  expect([names({ entity: "customer" }), names({ kind: "derived" }), names({ kind: "made" }), names({})]).toEqual([
    ["count_1h"],
    ["amount_ratio"],
    ["amount_ratio"],
    ["count_1h", "amount_ratio"],
  ]);
});

it("writes memory in the unit that fits", () => {
  expect([bytes(0), bytes(512), bytes(1536), bytes(25_000_000), bytes(null)]).toEqual([
    "0 B",
    "512 B",
    "1.5 kB",
    "25 MB",
    "–",
  ]);
});
