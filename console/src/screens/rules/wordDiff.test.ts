import { expect, it } from "vitest";
import { differences } from "./wordDiff";

const said = (before: string, after: string) => differences(before, after).map(({ kind, text }) => [kind, text]);

it("a changed number is struck out beside the new one, and the rest stays", () => {
  expect(said("amount > 900 AND is_night", "amount > 1200 AND is_night")).toEqual([
    ["same", "amount > "],
    ["gone", "900"],
    ["new", "1200"],
    ["same", " AND is_night"],
  ]);
});

it("what both sides keep and lose adds up to both texts", () => {
  const [before, after] = ["a AND (b OR c)", "a OR (c AND d) OR e"];
  const pieces = differences(before, after);
  const joined = (kinds: string[]) =>
    pieces
      .filter((piece) => kinds.includes(piece.kind))
      .map((piece) => piece.text)
      .join("");
  expect([joined(["same", "gone"]), joined(["same", "new"])]).toEqual([before, after]);
});

it("equal texts are one piece, and nothing is none", () => {
  expect(said("amount", "amount")).toEqual([["same", "amount"]]);
  expect(differences("", "")).toEqual([]);
});
