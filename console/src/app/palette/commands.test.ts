import { describe, expect, it } from "vitest";
import { type Hit, lineOf, matching, moved, targetOf } from "./commands";

const hit = (more: Partial<Hit>) =>
  ({ detector: "banking", id: "x", title: "x", about: null, entity: null, amount: null, currency: null, decision: null, at: null, ...more }) as Hit; // biome-ignore format: one line

describe("the command palette", () => {
  it("finds commands by all words that were typed", () => {
    const commands = [{ title: "Go to Review queue" }, { title: "Use the dark theme" }];
    expect(matching(commands, "QUEUE go")).toEqual([commands[0]]);
    expect(matching(commands, " ")).toEqual(commands);
    expect(matching(commands, "queue theme")).toEqual([]);
  });

  it("leads each kind to its page", () => {
    const kinds = ["transaction", "entity", "case", "rule", "list", "feature"] as const;
    const targets = kinds.map((kind) => targetOf(hit({ kind, entity: "customer" })).to);
    expect(targets).toEqual([
      "/transactions/$id",
      "/entities/$entity/$key",
      "/queue",
      "/rules/$detectorName/$rule",
      "/rules",
      "/features",
    ]);
  });

  it("says of a transaction what it is worth, who pays whom, and how it was decided", () => {
    const found = hit({ kind: "transaction", id: "t1", title: "C1 → M2", amount: 12.5, currency: "EUR", decision: "BLOCK", about: "too much" }); // biome-ignore format: one line
    expect(lineOf(found)).toEqual({
      group: "Transactions",
      title: "€12.50 C1 → M2",
      about: "block · too much · t1",
    });
  });

  it("moves around the ends", () => {
    expect([moved(0, -1, 3), moved(2, 1, 3), moved(0, 1, 0)]).toEqual([2, 0, 0]);
  });
});
