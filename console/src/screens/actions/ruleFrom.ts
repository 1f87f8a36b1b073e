/** The beginning of a rule that is written from what somebody looks at: a transaction, or a key. */

import type { Decision } from "~/api/transactions";

const MOST = 2;

/** The condition that this decision fulfils: its features that moved the score most towards fraud and are not as usual. */
export function conditionOf({ explanation }: Pick<Decision, "explanation">): string {
  const usual = new Map(explanation.reasons.map((each) => [each.feature, each.usual]));
  const parts = explanation.contributions
    .filter((each) => each.contribution > 0)
    .map((each) => comparison(each.feature, each.value, usual.get(each.feature)))
    .filter((part) => part !== null);
  const [first] = explanation.rules;
  if (parts.length === 0 && first) {
    const read = Object.entries(first.values ?? {}).map(([name, value]) => comparison(name, value, null));
    return read
      .filter((part) => part !== null)
      .slice(0, MOST)
      .join(" AND ");
  }
  return parts.slice(0, MOST).join(" AND ");
}

/** That a field has this value. */
export function equals(field: string, value: string | number): string {
  return `${field} = ${literal(value)}`;
}

/** That a field has one of these values. */
export function isOneOf(field: string, values: readonly (string | number)[]): string {
  return `${field} IN (${values.map(literal).join(", ")})`;
}

function literal(value: string | number): string {
  return typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`;
}

function comparison(name: string, value: unknown, usual: unknown): string | null {
  if (typeof value === "boolean") return value ? name : `NOT ${name}`;
  if (typeof value === "string") return equals(name, value);
  if (typeof value !== "number") return null;
  const below = typeof usual === "number" && value < usual;
  return `${name} ${below ? "<=" : ">="} ${Number(value.toPrecision(3))}`;
}
