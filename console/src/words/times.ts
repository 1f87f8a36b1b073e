/** Times in the zone that was chosen; UTC is shown on hover. */

import { t } from "~/words/language";
import { formatted } from "./zones";

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;
const DAY = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" } as const;
const YEAR = { dateStyle: "medium", timeStyle: "short" } as const;
const WHOLE = { dateStyle: "medium", timeStyle: "medium" } as const;
const DATE = { dateStyle: "short" } as const;

const STEPS: [limit: number, per: number, name: string][] = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [Number.POSITIVE_INFINITY, 86400, "d"],
];

/** A moment: the time of day when it is of today, else with its day, and with its year where that is another. */
export function moment(at: string | number | Date, now = new Date()): string {
  const then = new Date(at);
  if (Number.isNaN(then.getTime())) return String(at);
  const [date, today] = [formatted(then, DATE), formatted(now, DATE)];
  if (date === today) return formatted(then, CLOCK);
  return formatted(then, date.slice(-4) === today.slice(-4) ? DAY : YEAR);
}

const ONLY_DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** A day of UTC: "2026-11-19" is "19 Nov". */
export function dayName(day: string | Date): string {
  const then = new Date(day);
  return Number.isNaN(then.getTime()) ? String(day) : ONLY_DAY.format(then);
}

/** A moment in full. */
export function inFull(at: string | number | Date): string {
  const then = new Date(at);
  return Number.isNaN(then.getTime()) ? String(at) : formatted(then, WHOLE);
}

/** A moment as UTC, as it stands in the records. */
export function utc(at: string | number | Date): string {
  const then = new Date(at);
  return Number.isNaN(then.getTime())
    ? String(at)
    : then
        .toISOString()
        .replace("T", " ")
        .replace(/\.?0*Z$/, " UTC");
}

/** A duration in the largest unit that has at least one of it: 90 is "1.5 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null) return "–";
  for (const [limit, per, name] of STEPS) {
    if (Math.abs(seconds) < limit) {
      const n = seconds / per;
      return `${n < 10 && per > 1 ? Number(n.toFixed(1)) : Math.round(n)} ${name}`;
    }
  }
  return "–";
}

/** How long ago. */
export function ago(at: string | number | Date, now = Date.now()): string {
  return t("{value} ago", { value: duration(Math.max(0, (now - new Date(at).getTime()) / 1000)) });
}
