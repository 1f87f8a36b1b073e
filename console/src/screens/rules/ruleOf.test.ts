import { expect, it } from "vitest";
import { ruleOf } from "./ruleOf";

it("a version that is tried leads to its rule, and a rule that is only called so to itself", () => {
  const known = ["large", "odd_v2"];
  expect([ruleOf("large_v3", known), ruleOf("large", known), ruleOf("odd_v2", known)]).toEqual([
    "large",
    "large",
    "odd_v2",
  ]);
});
