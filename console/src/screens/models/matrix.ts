/** Decisions of two on the same events, as a table. */

/** From the mildest to the gravest. */
export const ORDER = ["APPROVE", "CHALLENGE", "REVIEW", "BLOCK"] as const;

export interface Cell {
  count: number;
  share: number;
  same: boolean;
}

export interface MatrixRow {
  champion: string;
  cells: Cell[];
}

/** The outcomes that occur, in order, and for each of the champion's how the candidate decided the same events. */
export function table(matrix: Record<string, Record<string, number>>): { outcomes: string[]; rows: MatrixRow[] } {
  const counted = Object.entries(matrix).flatMap(([from, to]) =>
    Object.entries(to).map(([name, events]) => ({ from, name, events })),
  );
  const seen = new Set(
    counted.filter((each) => each.events > 0).flatMap((each) => [each.from.toUpperCase(), each.name.toUpperCase()]),
  );
  const outcomes = ORDER.filter((name) => seen.has(name));
  const at = (from: string, to: string) => matrix[from]?.[to] ?? matrix[from.toLowerCase()]?.[to.toLowerCase()] ?? 0;
  const total = outcomes.reduce((sum, from) => sum + outcomes.reduce((inner, to) => inner + at(from, to), 0), 0);
  const rows = outcomes.map((from) => ({
    champion: from,
    cells: outcomes.map((to) => ({ count: at(from, to), share: total ? at(from, to) / total : 0, same: from === to })),
  }));
  return { outcomes, rows };
}
