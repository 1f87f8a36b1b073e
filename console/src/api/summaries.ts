/** Recorded decisions in one line each: what names the event, what was decided, and the first reason. */

import { api, type Schemas, say } from "./client";

export type Summary = Schemas["DecisionSummary"];
export type NamedField = Schemas["NamedField"];

export interface Asked {
  detector?: string | undefined;
  decision?: string | undefined;
  entity?: string | undefined;
  key?: string | undefined;
  rule?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  before?: string | undefined;
  limit?: number;
}

/** One page of them, newest first. */
export async function summaries(query: Asked) {
  return say(await api.GET("/summaries", { params: { query } }));
}

/** What an event is called in one line: "C1 → M7 · DE"; its id where nothing names it. */
export function nameOf({ named, transaction_id }: { named: readonly NamedField[]; transaction_id: string }): string {
  const of = (role: string) => named.filter((each) => each.role === role).map((each) => each.value);
  const parties = [...of("payer"), ...of("payee")].join(" → ");
  return [parties, ...of("detail")].filter(Boolean).join(" · ") || transaction_id;
}
