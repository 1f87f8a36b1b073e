/** Impact as CSV: one row for each week and each rule, amounts as plain numbers. */

import type { Schemas } from "~/api/client";
import { csvLines } from "~/ui/csv";

export type Impact = Schemas["Impact"];
export type Week = Impact["weeks"][number];

const HEADER = [
  "kind", "name", "from", "to", "decisions", "blocks", "fires", "loss", "loss_count", "prevented", "prevented_count",
  "false_positives", "false_positives_count", "unknown_blocks", "review_rate", "review_hours", "chargeback_rate", "currency",
]; // biome-ignore format: columns

/** The file's content. */
export function csvOf({ weeks, rules, currency }: Impact): string {
  const ofWeeks = weeks.map((week) => [
    "week", "", week.from, week.to, week.decisions, week.blocks, "", week.loss.amount, week.loss.count,
    week.prevented.amount, week.prevented.count, week.false_positives.amount, week.false_positives.count,
    week.unknown_blocks, week.review_rate, week.review_hours, week.chargeback_rate, currency,
  ]); // biome-ignore format: columns
  const ofRules = rules.map((rule) => [
    "rule", rule.name, "", "", "", "", rule.fires, "", "", rule.prevented?.amount ?? null, rule.prevented?.count ?? null,
    rule.false_positives?.amount ?? null, rule.false_positives?.count ?? null, "", "", "", "", currency,
  ]); // biome-ignore format: columns
  return csvLines([HEADER, ...ofWeeks, ...ofRules]);
}
