/** Whether the model would have decided otherwise than the rule that did. */

import type { Policy } from "~/api/detectors";

const NOT_BY_RULE = ["ml_probability", "normal_behavior", "degraded", "control_share"];

/** What the score alone would have decided where a rule decided otherwise; null where both agree. */
export function disagreement(
  decision: string,
  reason: string,
  score: number | null,
  policy: Policy | undefined,
): string | null {
  if (score === null || !policy || NOT_BY_RULE.includes(reason)) return null;
  const said = byScore(score, policy);
  return said === decision.toLowerCase() ? null : said;
}

function byScore(score: number, { block_at, review_at, challenge_at }: Policy): string {
  const reached = (at: number | null) => at !== null && score >= at;
  if (reached(block_at)) return "block";
  if (reached(review_at)) return "review";
  return reached(challenge_at) ? "challenge" : "approve";
}
