import { describe, expect, it } from "vitest";
import { type Edge, layout, type Node, state } from "./layout";

function node(id: string, distance: number, entity = "device"): Node {
  const outcomes = { approve: 1, challenge: 0, review: 0, block: 0 };
  return { id, entity, key: id, shown: id, distance, transactions: 1, outcomes, fraud: 0, good: 0, lists: [] };
}

function edge(source: string, target: string, transactions = 1): Edge {
  return { source, target, transactions, stopped: 0, fraud: 0 };
}

const NODES = [node("me", 0, "customer"), node("a", 1), node("b", 1), node("c", 1), node("x", 2), node("y", 2)];
const EDGES = [edge("me", "a"), edge("me", "b"), edge("me", "c"), edge("a", "x"), edge("c", "y", 3), edge("b", "y")];

describe("the link graph", () => {
  it("puts the key in the middle and every other one at the ring of its distance, none upon another", () => {
    const placed = layout(NODES, EDGES);
    const radii = placed.map(({ x, y }) => Math.hypot(x, y));
    expect(radii.map((r) => Number(r.toFixed(6)))).toEqual([0, 0.5, 0.5, 0.5, 0.9, 0.9]);
    const places = new Set(placed.map(({ x, y }) => `${x.toFixed(3)},${y.toFixed(3)}`));
    expect(places.size).toBe(NODES.length);
  });

  it("looks the same for the same graph, however it is ordered", () => {
    const sorted = (list: { id: string }[]) => [...list].sort((one, other) => one.id.localeCompare(other.id));
    expect(sorted(layout([...NODES].reverse(), [...EDGES].reverse()))).toEqual(sorted(layout(NODES, EDGES)));
  });

  it("colours by the gravest that is known", () => {
    const outcomes = { approve: 5, challenge: 0, review: 1, block: 1 };
    expect(state({ fraud: 1, outcomes })).toBe("fraud");
    expect(state({ fraud: 0, outcomes })).toBe("block");
    expect(state({ fraud: 0, outcomes: { ...outcomes, block: 0 } })).toBe("review");
    expect(state({ fraud: 0, outcomes: { approve: 5, challenge: 0, review: 0, block: 0 } })).toBe("approve");
  });
});
