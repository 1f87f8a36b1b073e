import { describe, expect, it } from "vitest";
import type { Summary } from "~/api/summaries";
import type { LiveAlert } from "~/live/feed";
import { begun, isWatched, seen, WATCHED_MS } from "./attack";

const decision = (id: string, outcome: string, at = "1") =>
  ({ transaction_id: id, decision: outcome, decided_at: at }) as Summary;
const attack = begun("card_testing", ["a1", "a2", "a3"], 1000);

describe("an attack", () => {
  it("is detected by the first of its own payments that is stopped, and by no other", () => {
    const others = seen(attack, [decision("x", "BLOCK"), decision("a1", "APPROVE")], [], 1500);
    expect(others).toBe(attack);
    const stopped = seen(others, [decision("a3", "BLOCK", "5"), decision("a2", "REVIEW", "4")], [], 3250);
    expect([stopped.first?.decision.transaction_id, stopped.first?.afterMs, stopped.stopped.size]).toEqual([
      "a2",
      2250,
      2,
    ]);
  });

  it("keeps the first time and counts each payment once", () => {
    const once = seen(attack, [decision("a1", "BLOCK")], [], 2000);
    const again = seen(once, [decision("a1", "BLOCK"), decision("a2", "BLOCK")], [], 9000);
    expect([again.first?.afterMs, again.stopped.size]).toEqual([1000, 2]);
  });

  it("names the first alert about one of its payments", () => {
    const alerts = [{ transaction_id: "x" }, { transaction_id: "a1", text: "many" }] as LiveAlert[];
    expect(seen(attack, [], alerts, 4000).alert).toEqual({ alert: alerts[1], afterMs: 3000 });
  });

  it("is watched until all is stopped or long enough", () => {
    expect([isWatched(attack, 1000), isWatched(attack, 1000 + WATCHED_MS)]).toEqual([true, false]);
    const all = seen(attack, ["a1", "a2", "a3"].map((id) => decision(id, "BLOCK")), [], 2000); // biome-ignore format: one line
    expect(isWatched(all, 2000)).toBe(false);
  });
});
