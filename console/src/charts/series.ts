/** Data of charts: outcomes laid upon one another, bars and their edges. */

import type { AlignedData } from "uplot";

export interface OutcomeCounts {
  approve: number;
  challenge: number;
  review: number;
  block: number;
}

/** From the base of a stack upwards: what was stopped stands at the base, where it can be compared. */
export const STACK = ["block", "review", "challenge", "approve"] as const;
export type OutcomeName = (typeof STACK)[number];

/** The colour of an outcome in a chart: approvals are most of what there is, and muted for what matters. */
export function colourOf(name: OutcomeName): string {
  return name === "approve" ? "approve-muted" : name;
}

/** Everything that was decided. */
export function all(of: OutcomeCounts): number {
  return of.approve + of.challenge + of.review + of.block;
}

/** What was not approved. */
export function stopped(of: OutcomeCounts): number {
  return of.challenge + of.review + of.block;
}

/** Outcomes added up from the base, the highest first, so that each is drawn over those behind it. */
export function stacked(
  x: readonly number[],
  points: readonly OutcomeCounts[],
  names: readonly OutcomeName[],
): AlignedData {
  const sums: number[][] = [];
  let below = points.map(() => 0);
  for (const name of names) {
    below = points.map((point, n) => (below[n] ?? 0) + point[name]);
    sums.push(below);
  }
  return [[...x], ...sums.reverse()];
}

/** Hours of the day in the viewer's zone, where it differs from UTC by whole hours; else they stay as they are. */
export function localHours<T extends { hour: number }>(bins: readonly T[], offsetMinutes: number): readonly T[] {
  if (offsetMinutes % 60 !== 0) return bins;
  const shifted = bins.map((bin) => ({ ...bin, hour: (((bin.hour + offsetMinutes / 60) % 24) + 24) % 24 }));
  return shifted.sort((one, other) => one.hour - other.hour);
}
