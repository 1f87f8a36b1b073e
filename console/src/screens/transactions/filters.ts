/** The filters of the list of transactions, as they stand in the address. */

export interface Filters {
  decision?: string;
  entity?: string;
  key?: string;
  rule?: string;
  from?: string;
  to?: string;
}

export const DECISIONS = ["approve", "challenge", "review", "block"] as const;

/** What is asked of the service: an entity and its key only together. */
export function query(filters: Filters): Filters {
  const { decision, entity, key, rule, from, to } = filters;
  return { decision, rule, from, to, ...(entity && key ? { entity, key } : {}) };
}

/** A moment of the address as a field of a form shows it: in the viewer's zone, to the minute. */
export function asField(at: string | undefined): string {
  if (at === undefined) return "";
  const then = new Date(at);
  if (Number.isNaN(then.getTime())) return "";
  return new Date(then.getTime() - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What the field says, as the address keeps it: in UTC. */
export function fromField(said: string): string | undefined {
  const then = new Date(said);
  return said === "" || Number.isNaN(then.getTime()) ? undefined : then.toISOString();
}

/** Whether anything is filtered. */
export function isFiltered(filters: Filters): boolean {
  return Object.values(query(filters)).some((each) => each !== undefined);
}
