/** What a preview says, put into figures. */

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
    ["Events read", tried.read, "decisions of these days"],
    ["Matched", tried.matched, "the condition is true"],
    ["New", tried.new, "no other rule fired on them"],
    ["Changed", tried.changed, tried.lowered ? `${lowering(tried)}` : "decisions would change"],
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
  return `${tried.lowered.toLocaleString("en")} become less strict, ${size(tried.lowered_per_day)} a day`;
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
  fraud: "known fraud",
  good: "known legitimate",
  unobjected: "presumed legitimate (no dispute)",
  young: "not yet known: labels may still come",
  untold: "unknown (blocked, unlabelled)",
} as const;
