/** What an entry of the log of changes tells besides what was before and after. */

import type { Schemas } from "~/api/client";

/** The details that the differences do not say already. */
export function leftOver(entry: Pick<Schemas["AuditEntry"], "details" | "diff">): [string, unknown][] {
  const told = new Set(entry.diff.map((each) => each.field));
  const both = entry.diff.length > 0 ? new Set(["changed", "from", "to", "body"]) : new Set<string>();
  return Object.entries(entry.details ?? {}).filter(
    ([name, found]) => found !== null && found !== "" && !told.has(name) && !both.has(name),
  );
}
