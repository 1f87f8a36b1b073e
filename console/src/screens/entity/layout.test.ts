import { describe, expect, it } from "vitest";
import { type Edge, layout, type Node } from "./layout";

const OUTCOMES = { approve: 1, challenge: 0, review: 0, block: 0 };

function node(id: string, distance: number, entity = "device"): Node {
  const known = { outcome: "undecided" as const, outcomes: OUTCOMES, fraud: 0, good: 0, lists: [] };
  const shared = { shared_by: 1, hub: false, note: null, member: entity === "customer" };
  return { id, entity, key: id, shown: id, distance, transactions: 1, ...known, ...shared };
}

function edge(source: string, target: string, transactions = 1): Edge {
  return { source, target, transactions, outcome: "undecided" };
}

const NODES = [node("me", 0, "customer"), node("a", 1), node("b", 1), node("c", 1), node("x", 2), node("y", 3)];
const EDGES = [edge("me", "a"), edge("me", "b"), edge("me", "c"), edge("a", "x"), edge("x", "y", 3)];

describe("the picture of a ring", () => {
  it("puts the key in the middle and every other one at the circle of its distance, none upon another", () => {
    const placed = layout(NODES, EDGES);
    const radii = placed.map(({ x, y }) => Math.hypot(x, y));
    expect(radii.map((r) => Number(r.toFixed(6)))).toEqual([0, 0.3, 0.3, 0.3, 0.6, 0.9]);
    const places = new Set(placed.map(({ x, y }) => `${x.toFixed(3)},${y.toFixed(3)}`));
    expect(places.size).toBe(NODES.length);
  });

  it("looks the same for the same ring, however it is ordered", () => {
    const sorted = (list: { id: string }[]) => [...list].sort((one, other) => one.id.localeCompare(other.id));
    expect(sorted(layout([...NODES].reverse(), [...EDGES].reverse()))).toEqual(sorted(layout(NODES, EDGES)));
  });
});
