/** The stream of decisions: a few rows, the newest first, that wait while somebody reads them. */

import type { Summary } from "~/api/summaries";
import type { LiveMessage } from "~/live/feed";

export const ROWS = 10;

export interface Stream {
  /** What is shown, newest first, at most `ROWS`. */
  shown: readonly Summary[];
  /** What came while it was held, newest first, at most `ROWS`. */
  waiting: readonly Summary[];
  /** How many decisions came while it was held, also those that are not kept. */
  missed: number;
  /** Decisions in the newest message that were not in its sample. */
  leftOut: number;
}

export const EMPTY: Stream = { shown: [], waiting: [], missed: 0, leftOut: 0 };

/** The stream after a message; while it is held, nothing that is shown changes. */
export function told(stream: Stream, message: LiveMessage, held: boolean, detector?: string): Stream {
  const came = message.decisions.filter((each) => !detector || each.detector === detector);
  const newest = fresh(came, held ? stream.waiting : stream.shown);
  const leftOut = message.left_out.decisions;
  if (!held) return { shown: join(newest, stream.shown), waiting: [], missed: 0, leftOut };
  const missed = stream.missed + newest.length + leftOut;
  return { shown: stream.shown, waiting: join(newest, stream.waiting), missed, leftOut };
}

/** The stream when it is let go: what waited is shown. */
export function released(stream: Stream): Stream {
  return { ...stream, shown: join(stream.waiting, stream.shown), waiting: [], missed: 0 };
}

/** Newest first, without those that are there already (after a reconnection the newest come again). */
function fresh(came: readonly Summary[], there: readonly Summary[]): Summary[] {
  const known = new Set(there.map((each) => each.transaction_id));
  return came.filter((each) => !known.has(each.transaction_id)).reverse();
}

function join(newer: readonly Summary[], older: readonly Summary[]): Summary[] {
  const known = new Set(newer.map((each) => each.transaction_id));
  return [...newer, ...older.filter((each) => !known.has(each.transaction_id))].slice(0, ROWS);
}

/** Why, in a few words: the first reason, else its code. */
export function why(decision: Summary): string {
  return decision.reason ?? decision.decision_reason.replaceAll("_", " ");
}
