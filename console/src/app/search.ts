/** Readers of the parts of an address. Every page names its own parts in `router.tsx`. */

import type { Layout } from "~/ui/layout";

/** A part of an address that is a text, or nothing. */
export function text(found: unknown): string | undefined {
  if (typeof found === "number") return String(found);
  return typeof found === "string" && found !== "" ? found : undefined;
}

/** A whole number above zero, or nothing. */
export function whole(found: unknown): number | undefined {
  const n = Number(found);
  return Number.isInteger(n) && n > 0 ? n : undefined;
}

/** One of these, or nothing. */
export function oneOf<T extends string>(options: readonly T[], found: unknown): T | undefined {
  return options.find((option) => option === found);
}

export const RANGES = ["5m", "1h", "24h", "30d"] as const;
export type Range = (typeof RANGES)[number];

/** How the table of a page is laid out. */
export function layout(search: Record<string, unknown>): Layout {
  return { columns: text(search.columns), sort: text(search.sort), widths: text(search.widths) };
}
