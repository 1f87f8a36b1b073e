/** Which case comes after which: plain functions over the list as it is shown. */

import type { Case } from "./outbox";

/** The rows that are left to do: without those dealt with here, unless the list is of decided ones. */
export function leftToDo(rows: readonly Case[], done: ReadonlySet<string>, state: string): readonly Case[] {
  return state === "decided" ? rows : rows.filter((row) => !done.has(row.id));
}

/** The case that is looked at: the chosen one, also to look at it again; else the first that is not dealt with. */
export function current(
  rows: readonly Case[],
  chosen: string | undefined,
  done: ReadonlySet<string>,
  me: string,
): string | undefined {
  return chosen ?? following(rows, undefined, done, me);
}

/** The next case to work on after one: further down, else from the top; what others hold is passed over. */
export function following(
  rows: readonly Case[],
  after: string | undefined,
  done: ReadonlySet<string>,
  me: string,
): string | undefined {
  const place = rows.findIndex((row) => row.id === after);
  const free = (row: Case) => !done.has(row.id) && row.id !== after && !heldByOther(row, me);
  const below = rows.slice(place + 1).find(free);
  return (below ?? rows.find(free))?.id;
}

/** One row up or down, as far as there are rows. */
export function moved(rows: readonly Case[], from: string | undefined, by: 1 | -1): string | undefined {
  if (rows.length === 0) return undefined;
  const place = rows.findIndex((row) => row.id === from);
  if (place < 0) return rows[0]?.id;
  return rows[Math.min(rows.length - 1, Math.max(0, place + by))]?.id;
}

/** Somebody else works on it. */
export function heldByOther(row: Case, me: string): boolean {
  return row.state === "taken" && row.owner !== me;
}

/** A list with one case as it is now. */
export function withCase(rows: readonly Case[], now: Case): Case[] {
  return rows.map((row) => (row.id === now.id && row.version <= now.version ? now : row));
}

/** Cases as the service answered them last, for as long as something older may still come in. */
export class Answered {
  private readonly cases = new Map<string, Case>();

  /** It was answered so. */
  put(now: Case): void {
    this.cases.set(now.id, this.newest(now));
  }

  /** A case that came in, or what was answered after it. */
  newest(row: Case): Case {
    const known = this.cases.get(row.id);
    if (known === undefined || known.version <= row.version) return row; // of one version, but a lock may have run out
    return known;
  }
}
