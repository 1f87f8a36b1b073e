/** How a rule fared: which of the counted names are its own, and how much is known of what it hit. */

import type { Schemas } from "~/api/client";
import { t } from "~/words/language";
import { count, rate, UNKNOWN } from "~/words/numbers";
import type { Rule } from "./books";

export type RuleInsight = Schemas["RuleInsight"];
export type Known = RuleInsight["labels"];

/** The name by which a rule's candidate is recorded. */
export function candidateName(rule: Rule): string | null {
  return rule.candidate ? `${rule.name}_v${rule.candidate.version}` : null;
}

/** The figures of what a rule shows: of the version that acts, else of the one that is tried; null where nothing counted them. */
export function insightOf(rule: Rule, insights: readonly RuleInsight[] | undefined): RuleInsight | null {
  const name = rule.active ? rule.name : (candidateName(rule) ?? rule.name);
  return insights?.find((each) => each.name === name) ?? null;
}

/** The figures of a rule's candidate. */
export function insightOfCandidate(rule: Rule, insights: readonly RuleInsight[] | undefined): RuleInsight | null {
  return insights?.find((each) => each.name === candidateName(rule)) ?? null;
}

/** How mature a precision is: of how many of the decisions it hit the truth is known. */
export function maturity(known: Known): string {
  const told = known.fraud + known.good;
  const all = told + known.unknown;
  return all === 0 ? t("no labelled hits") : t("{told} of {all} known", { told: count(told), all: count(all) });
}

/** Whether less is known than not of what it hit. */
export function isYoung(known: Known): boolean {
  return known.known < known.unknown;
}

/** A precision with its 95 % interval; below 30 known outcomes only the counts. */
export function precision(known: Known | undefined): string {
  if (!known) return UNKNOWN;
  const { precision: value, precision_low: low, precision_high: high, known: of, fraud: part } = known;
  return rate({ value, low, high, of, part });
}

/** The share of fraud that calibrated scores estimate; null where they say nothing. */
export function estimate(known: Known): string | null {
  return known.estimate ? t("estimated by scores: {estimate}", { estimate: rate(known.estimate) }) : null;
}
