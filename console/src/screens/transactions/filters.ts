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

/** Whether anything is filtered. */
export function isFiltered(filters: Filters): boolean {
  return Object.values(query(filters)).some((each) => each !== undefined);
}
