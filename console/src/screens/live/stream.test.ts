import { describe, expect, it } from "vitest";
import type { Summary } from "~/api/summaries";
import type { LiveMessage } from "~/live/feed";
import { EMPTY, ROWS, released, told } from "./stream";

const decision = (id: number, detector = "banking") => ({ transaction_id: `t${id}`, detector }) as Summary;

function message(ids: number[], leftOut = 0): LiveMessage {
  return {
    decisions: ids.map((id) => decision(id)),
    left_out: { decisions: leftOut, alerts: 0 },
  } as unknown as LiveMessage;
}

const ids = (rows: readonly Summary[]) => rows.map((each) => each.transaction_id);

describe("the stream of decisions", () => {
  it("shows the newest first and never more than its rows", () => {
    let stream = EMPTY;
    for (let n = 0; n < 10; n++) stream = told(stream, message([3 * n, 3 * n + 1, 3 * n + 2]), false);
    expect(stream.shown.length).toBe(ROWS);
    expect(ids(stream.shown).slice(0, 3)).toEqual(["t29", "t28", "t27"]);
  });

  it("holds still under the pointer and shows what waited when it is let go", () => {
    const before = told(EMPTY, message([1]), false);
    const held = told(before, message([2, 3], 40), true);
    expect(held.shown).toBe(before.shown);
    expect(held.missed).toBe(42);
    expect(ids(released(held).shown)).toEqual(["t3", "t2", "t1"]);
  });

  it("shows a decision once though a new connection tells it again", () => {
    const once = told(EMPTY, message([1, 2]), false);
    expect(ids(told(once, message([1, 2, 3]), false).shown)).toEqual(["t3", "t2", "t1"]);
  });

  it("bounds what waits, however long it is held", () => {
    let stream = EMPTY;
    for (let n = 0; n < 500; n++) stream = told(stream, message([2 * n, 2 * n + 1], 1000), true);
    expect([stream.waiting.length, stream.missed]).toEqual([ROWS, 501_000]);
  });

  it("shows one detector where one is chosen", () => {
    const mixed = {
      decisions: [decision(1), decision(2, "card")],
      left_out: { decisions: 0, alerts: 0 },
    } as unknown as LiveMessage;
    expect(ids(told(EMPTY, mixed, false, "card").shown)).toEqual(["t2"]);
  });
});
