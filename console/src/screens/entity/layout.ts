/** Where the keys of a link graph stand: the one in the middle, what shares transactions with it around, and what shares with those outside. */

import type { Schemas } from "~/api/client";

export type Node = Schemas["LinkNode"];
export type Edge = Schemas["LinkEdge"];

export interface Placed extends Node {
  x: number;
  y: number;
}

/** Radii of the rings, by distance, in a square from -1 to 1. */
const RADII = [0, 0.5, 0.9];

/**
 * Each node at its ring. The first ring is spread evenly, by kind of key; each node of the second stands as near as the order
 * allows to the neighbour in the first that it shares most with, so that lines cross little. The same graph looks the same.
 */
export function layout(nodes: readonly Node[], edges: readonly Edge[]): Placed[] {
  const inner = nodes.filter((node) => node.distance === 1).sort(byKind);
  const angles = new Map(inner.map((node, n) => [node.id, around(n, inner.length)]));
  const outer = nodes
    .filter((node) => node.distance > 1)
    .map((node) => ({ node, wanted: angles.get(neighbour(node.id, edges, angles) ?? "") ?? 0 }))
    .sort((one, other) => one.wanted - other.wanted || byKind(one.node, other.node));
  outer.forEach(({ node }, n) => void angles.set(node.id, around(n, outer.length)));
  return nodes.map((node) => {
    const radius = RADII[Math.min(node.distance, RADII.length - 1)] ?? 0;
    const angle = angles.get(node.id) ?? 0;
    return { ...node, x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
  });
}

function around(n: number, of: number): number {
  return (2 * Math.PI * n) / Math.max(1, of) - Math.PI / 2;
}

function byKind(one: Node, other: Node): number {
  return (
    one.entity.localeCompare(other.entity) || other.transactions - one.transactions || one.id.localeCompare(other.id)
  );
}

/** The placed node that this one shares most transactions with. */
function neighbour(id: string, edges: readonly Edge[], placed: ReadonlyMap<string, number>): string | undefined {
  let best: { id: string; shared: number } | undefined;
  for (const edge of edges) {
    const other = edge.source === id ? edge.target : edge.target === id ? edge.source : undefined;
    if (other !== undefined && placed.has(other) && edge.transactions > (best?.shared ?? 0)) {
      best = { id: other, shared: edge.transactions };
    }
  }
  return best?.id;
}

/** What a key's transactions came to: the gravest that is known or was decided. */
export function state(node: Pick<Node, "fraud" | "outcomes">): "fraud" | "block" | "review" | "approve" {
  if (node.fraud > 0) return "fraud";
  if (node.outcomes.block > 0) return "block";
  return node.outcomes.review + node.outcomes.challenge > 0 ? "review" : "approve";
}
