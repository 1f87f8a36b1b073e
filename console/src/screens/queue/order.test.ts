import { describe, expect, it } from "vitest";
import { Answered, current, following, leftToDo, moved, withCase } from "./order";
import type { Case } from "./outbox";

const row = (id: string, more: Partial<Case> = {}) => ({ id, state: "open", owner: null, version: 1, ...more }) as Case;
const rows = [
  row("a"),
  row("b", { state: "taken", owner: "ben" }),
  row("c"),
  row("d", { state: "taken", owner: "ana" }),
];
const none = new Set<string>();

describe("the order of work", () => {
  it("goes on below what is dealt with, and from the top at the end", () => {
    expect(following(rows, "a", new Set(["a"]), "ana")).toBe("c");
    expect(following(rows, "d", new Set(["d"]), "ana")).toBe("a");
  });

  it("passes over what others hold, but not what is one's own", () => {
    expect(following(rows, "a", none, "ana")).toBe("c");
    expect(following(rows, "c", none, "ana")).toBe("d");
    expect(following(rows, "c", none, "ben")).toBe("a");
  });

  it("shows the chosen case, also one that is not in the list, and the first where none is chosen", () => {
    expect(current(rows, "elsewhere", none, "ana")).toBe("elsewhere");
    expect(current(rows, undefined, none, "ana")).toBe("a");
    expect(current([], undefined, none, "ana")).toBeUndefined();
  });

  it("has nothing more when all is dealt with, and shows again what was if somebody asks for it", () => {
    expect(current([row("a")], undefined, new Set(["a"]), "ana")).toBeUndefined();
    expect(current([row("a")], "a", new Set(["a"]), "ana")).toBe("a");
  });

  it("moves row by row and stops at the ends", () => {
    expect([moved(rows, "a", 1), moved(rows, "a", -1), moved(rows, "d", 1), moved(rows, "gone", 1)]).toEqual([
      "b",
      "a",
      "d",
      "a",
    ]);
  });

  it("leaves decided cases in a list of decided cases", () => {
    const done = new Set(["a"]);
    expect(leftToDo(rows, done, "undecided").map((each) => each.id)).toEqual(["b", "c", "d"]);
    expect(leftToDo(rows, done, "decided").length).toBe(4);
  });

  it("keeps what was answered when a list comes in that was asked for earlier", () => {
    const answered = new Answered();
    answered.put(row("a", { version: 3, state: "taken" }));
    answered.put(row("a", { version: 2 }));
    expect(answered.newest(row("a", { version: 1 })).version).toBe(3);
    expect(answered.newest(row("a", { version: 4 })).version).toBe(4);
    expect(answered.newest(row("a", { version: 3, state: "open" })).state).toBe("open");
    expect(answered.newest(row("b")).version).toBe(1);
  });

  it("never puts an older state of a case over a newer one", () => {
    const newer = [row("a", { version: 3 })];
    expect(withCase(newer, row("a", { version: 2 }))[0]?.version).toBe(3);
    expect(withCase(newer, row("a", { version: 4 }))[0]?.version).toBe(4);
  });
});
