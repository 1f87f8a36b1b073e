/** Parts of the service by what they belong to. */

import type { Schemas } from "~/api/client";

type Part = Schemas["PartForm"];

const WORST = ["failed", "degraded", "ok", "absent"];

/** Parts that serve all together, and those of each detector; in each what fares worst comes first. */
export function grouped(parts: readonly Part[]): { name: string; parts: Part[] }[] {
  const groups = new Map<string, Part[]>();
  for (const part of parts) {
    const name = part.detector ?? "Service";
    groups.set(name, [...(groups.get(name) ?? []), part]);
  }
  const rank = (part: Part) => WORST.indexOf(part.status);
  return [...groups].map(([name, own]) => ({ name, parts: own.toSorted((a, b) => rank(a) - rank(b)) }));
}
