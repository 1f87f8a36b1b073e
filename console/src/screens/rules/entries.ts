import { t } from "~/words/language";
/** What is put on a list: values as they are written into a box, and until when they count. */

export const EXPIRIES = [
  { value: "", name: "never" },
  { value: "1", name: t("in a day") },
  { value: "7", name: t("in 7 days") },
  { value: "30", name: t("in 30 days") },
  { value: "90", name: t("in 90 days") },
  { value: "365", name: t("in a year") },
] as const;

const DAY_MS = 86_400_000;

/** The values, one a line, each once, in their order. */
export function valuesOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  return [...new Set(lines.filter((line) => line !== ""))];
}

/** The instant so many days from now, as it is sent; null for never. */
export function expiresAt(days: string, now = Date.now()): string | null {
  return days === "" ? null : new Date(now + Number(days) * DAY_MS).toISOString();
}

interface Changed {
  added: number;
  replaced: number;
  removed: number;
  unchanged: number;
  request: unknown;
}

/** What a change of a list did, in words. */
export function changed(list: string, done: Changed): string {
  if (done.request) return t("{list}: waits for another person to approve it. Nothing has changed yet.", { list });
  const parts = [
    done.added && t("{added} added", { added: done.added }),
    done.replaced && t("{replaced} with a new reason or expiry", { replaced: done.replaced }),
    done.removed && t("{removed} removed", { removed: done.removed }),
    done.unchanged && t("{unchanged} as before", { unchanged: done.unchanged }),
  ].filter(Boolean);
  return `${list}: ${parts.join(", ") || t("nothing to do")}.`;
}
