/** What a rule would change, above all else: how many outcomes a day it lowers, and how many it raises, and to what. */

import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import type { Tried } from "./draft";

const OUTCOMES: Record<string, string> = {
  allow: "approvals",
  approve: "approvals",
  challenge: "challenges",
  review: "reviews",
  block: "blocks",
};

export interface Consequences {
  /** Outcomes that become less strict; null where none does. */
  lowered: string | null;
  /** Outcomes that become stricter; null where none does. */
  raised: string | null;
}

type Counted = Pick<Tried, "changed" | "lowered" | "lowered_per_day" | "days" | "then">;

/** In sentences: "16 stricter decisions a day become approvals (480 in 30 days)". */
export function consequences({ changed, lowered, lowered_per_day, days, then }: Counted): Consequences {
  const outcome = OUTCOMES[then] ?? then;
  const raised = changed - lowered;
  const said = (count: number, perDay: number, kind: string) =>
    t("{perDay} {kind} decisions a day become {outcome} ({value} in {days})", {
      perDay: daily(perDay),
      kind,
      outcome,
      value: count.toLocaleString("en"),
      days: plural(days, "day"),
    });
  return {
    lowered: lowered > 0 ? said(lowered, lowered_per_day, "stricter") : null,
    raised: raised > 0 ? said(raised, raised / Math.max(1, days), t("less strict")) : null,
  };
}

function daily(count: number): string {
  if (count > 0 && count < 0.1) return t("fewer than 0.1");
  return (count < 10 ? Number(count.toFixed(1)) : Math.round(count)).toLocaleString("en");
}
