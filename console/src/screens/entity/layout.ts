/** Where the keys of a ring stand: the one that was asked about in the middle, the others around it by distance. */

import type { Schemas } from "~/api/client";

export type Node = Schemas["RingKey"];
export type Edge = Schemas["RingEdge"];

export interface Placed extends Node {
  x: number;
  y: number;
}

const OUTERMOST = 0.9;

/**
 * Each node at the circle of its distance, in a square from -1 to 1. The first circle is spread evenly, by kind of key; each
 * node further out stands as near as the order allows to the neighbour inside that it shares most with, so that lines cross
 * little. The same ring looks the same.
 */
export function layout(nodes: readonly Node[], edges: readonly Edge[]): Placed[] {
  const most = Math.max(1, ...nodes.map((node) => node.distance));
  const angles = new Map<string, number>();
  for (let distance = 1; distance <= most; distance++) {
    const level = nodes
      .filter((node) => node.distance === distance)
      .map((node) => ({ node, wanted: angles.get(neighbour(node.id, edges, angles) ?? "") ?? 0 }))
      .sort((one, other) => one.wanted - other.wanted || byKind(one.node, other.node));
    level.forEach(({ node }, n) => void angles.set(node.id, around(n, level.length)));
  }
  return nodes.map((node) => {
    const [radius, angle] = [(OUTERMOST * node.distance) / most, angles.get(node.id) ?? 0];
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
