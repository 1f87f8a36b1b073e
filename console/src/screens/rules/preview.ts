/** What a preview says, put into figures. */

import { t } from "~/words/language";
import type { Tried } from "./draft";

export interface Stage {
  name: string;
  count: number;
  /** Of the stage before it; null of the first, and where that has none. */
  share: number | null;
  /** Width of its bar, of 1: the square root of its share of all, or small stages could not be seen. */
  width: number;
  about: string;
}

/** From events read over those that match to those that no rule caught and whose decision would change. */
export function funnel(tried: Tried): Stage[] {
  const steps: [name: string, count: number, about: string][] = [
    [t("Events read"), tried.read, t("decisions of these days")],
    [t("Matched"), tried.matched, t("the condition is true")],
    [t("New"), tried.new, t("no other rule fired on them")],
    [t("Changed"), tried.changed, tried.lowered ? `${lowering(tried)}` : t("decisions would change")],
  ];
  return steps.map(([name, count, about], place) => {
    const before = place === 0 ? null : (steps[place === 3 ? 1 : place - 1]?.[1] ?? null);
    return {
      name,
      count,
      about,
      share: before ? count / before : null,
      width: tried.read ? Math.sqrt(count / tried.read) : 0,
    };
  });
}

/** How many outcomes it lowers, and how many a day: "48 become less strict, 1.6 a day". */
export function lowering(tried: Pick<Tried, "lowered" | "lowered_per_day">): string {
  return t("{value} become less strict, {lowered_per_day} a day", {
    value: tried.lowered.toLocaleString("en"),
    lowered_per_day: size(tried.lowered_per_day),
  });
}

/** Good customers among some decisions: said to be, or approved long ago without anybody objecting. */
export function good(truth: Tried["truth"]): number {
  return (truth.good ?? 0) + (truth.unobjected ?? 0);
}

/** Of how many it will never be known, or is not known yet. */
export function notKnown(truth: Tried["truth"]): number {
  return (truth.young ?? 0) + (truth.untold ?? 0);
}

/** A number of decisions with its sign: "+4" or "−2"; a fraction of one keeps a digit. */
export function signed(n: number): string {
  if (n === 0) return "0";
  return `${n > 0 ? "+" : "−"}${size(Math.abs(n))}`;
}

function size(n: number): string {
  return (n < 10 ? Number(n.toFixed(1)) : Math.round(n)).toLocaleString("en");
}

export const TRUTHS = {
  fraud: t("known fraud"),
  good: t("known legitimate"),
  unobjected: t("presumed legitimate (no dispute)"),
  young: t("not yet known: labels may still come"),
  untold: t("unknown (blocked, unlabelled)"),
} as const;
