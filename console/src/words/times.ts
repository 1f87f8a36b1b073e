/** Times in the viewer's zone; UTC is shown on hover. */

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const year = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const whole = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

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
  if (then.toDateString() === now.toDateString()) return clock.format(then);
  return (then.getFullYear() === now.getFullYear() ? day : year).format(then);
}

/** A moment in full. */
export function inFull(at: string | number | Date): string {
  const then = new Date(at);
  return Number.isNaN(then.getTime()) ? String(at) : whole.format(then);
}

/** The viewer's time zone, as people write it: "Europe/Berlin (UTC+1)". */
export function zone(now = new Date()): string {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(now);
  const offset = parts.find((part) => part.type === "timeZoneName")?.value.replace("GMT", "UTC") ?? "UTC";
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name === "UTC" ? name : `${name} (${offset})`;
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
  return `${duration(Math.max(0, (now - new Date(at).getTime()) / 1000))} ago`;
}
