/** Which rules the list shows. */

import type { Rule } from "./books";

export interface Filter {
  /** A state that the rule or its candidate is in; without one, all but what was archived. */
  state?: string;
  /** A part of its name, of its condition, or of who wrote it. */
  find?: string;
}

/** The rules that fit. */
export function filtered(rules: readonly Rule[], { state, find }: Filter): Rule[] {
  const sought = find?.trim().toLowerCase() ?? "";
  return rules.filter((rule) => inState(rule, state) && (sought === "" || said(rule).includes(sought)));
}

/** How many rules there are in each state; one that acts while a candidate is tried counts twice. */
export function counts(rules: readonly Rule[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const rule of rules) for (const state of states(rule)) found[state] = (found[state] ?? 0) + 1;
  return found;
}

function inState(rule: Rule, state: string | undefined): boolean {
  return state === undefined ? rule.state !== "archived" : states(rule).has(state);
}

function states(rule: Rule): Set<string> {
  return new Set([rule.state, ...(rule.candidate ? [rule.candidate.state] : [])]);
}

function said(rule: Rule): string {
  const shown = rule.active ?? rule.newest;
  return [rule.name, rule.author, shown.when, shown.then].join(" ").toLowerCase();
}
