/** What two thresholds would mean on the days of the test: from one on people look, from the other on it is blocked. */

import type { Evaluation, Row } from "./queries";

export interface Meaning {
  /** Reviews a day: between the two thresholds. */
  reviews: number | null;
  /** Blocks a day. */
  blocks: number | null;
  precision: number | null;
  recall: number | null;
  caught: number | null;
  goodStopped: number | null;
  falsePositives: number | null;
}

/** The row that holds from a threshold on: the first whose own is not below it; null above all. Rows: lowest first. */
export function rowAt(table: readonly Row[], at: number): Row | null {
  let low = 0;
  let high = table.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((table[middle]?.at ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return table[low] ?? null;
}

/** What would have been stopped (reviewed or blocked) and blocked, had these been the thresholds. */
export function meaning(table: readonly Row[], reviewAt: number, blockAt: number): Meaning {
  const stopped = rowAt(table, Math.min(reviewAt, blockAt));
  const blocked = rowAt(table, blockAt);
  const blocks = table.length === 0 ? null : (blocked?.alerts_per_day ?? (blocked ? null : 0));
  if (stopped === null) {
    return {
      reviews: table.length ? 0 : null,
      blocks,
      precision: null,
      recall: 0,
      caught: 0,
      goodStopped: 0,
      falsePositives: 0,
    };
  }
  return {
    reviews: stopped.alerts_per_day === null || blocks === null ? null : stopped.alerts_per_day - blocks,
    blocks,
    precision: stopped.precision,
    recall: stopped.recall,
    caught: stopped.amount_caught,
    goodStopped: minus(stopped.amount_stopped, stopped.amount_caught),
    falsePositives: stopped.false_positive_rate,
  };
}

function minus(all: number | null, some: number | null): number | null {
  return all === null || some === null ? null : all - some;
}

/** Whether the detector's policy declares thresholds, which win over those of the version. */
export function isDeclared({ thresholds, in_force }: Pick<Evaluation, "thresholds" | "in_force">): boolean {
  return ["review_at", "block_at"].some((name) => thresholds[name] !== in_force[name]);
}
