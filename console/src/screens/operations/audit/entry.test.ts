import { describe, expect, it } from "vitest";
import { leftOver } from "./entry";

describe("an entry of the log", () => {
  it("says once what changed", () => {
    const diff = [{ field: "roles", before: ["viewer"], after: ["analyst"] }];
    const details = { changed: { roles: [["viewer"], ["analyst"]] }, roles: ["analyst"], why: "promoted" };
    expect(leftOver({ details, diff })).toEqual([["why", "promoted"]]);
  });

  it("says everything where nothing is known of before", () => {
    expect(leftOver({ details: { from: "a", name: "x", note: null }, diff: [] })).toEqual([
      ["from", "a"],
      ["name", "x"],
    ]);
    expect(leftOver({ details: null, diff: [] })).toEqual([]);
  });
});
