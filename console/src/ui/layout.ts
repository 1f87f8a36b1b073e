/** How somebody lays out a table, as it stands in the address: which columns, in which order of rows, how wide. */

export interface Layout {
  /** Names of the columns shown, joined by commas; all that are shown by default where it is left out. */
  columns?: string;
  /** A column's name; behind a minus, the largest first. */
  sort?: string;
  /** Widths that somebody chose, in pixels: "who:240,why:400". */
  widths?: string;
}

const NARROWEST = 48;
const WIDEST = 1200;

/** The columns that are shown, by name, of all there are. */
export function shownColumns(layout: Layout, all: readonly string[], byDefault: readonly string[]): readonly string[] {
  if (layout.columns === undefined) return byDefault;
  const named = new Set(layout.columns.split(","));
  const shown = all.filter((name) => named.has(name));
  return shown.length > 0 ? shown : byDefault;
}

/** The `columns` of an address for these; undefined where they are the default ones. */
export function columnsText(shown: readonly string[], byDefault: readonly string[]): string | undefined {
  return shown.join() === byDefault.join() ? undefined : shown.join();
}

/** The order of rows: by which column, and which way; none where the address names none. */
export function sortOf({ sort }: Layout): { id: string; desc: boolean }[] {
  return sort ? [{ id: sort.replace(/^-/, ""), desc: sort.startsWith("-") }] : [];
}

/** The `sort` of an address. */
export function sortText([first]: readonly { id: string; desc: boolean }[]): string | undefined {
  return first && `${first.desc ? "-" : ""}${first.id}`;
}

/** The widths that somebody chose, by column; what is no width is left out. */
export function widthsOf({ widths }: Layout): Readonly<Record<string, number>> {
  const pairs = (widths ?? "").split(",").map((each) => each.split(":"));
  return Object.fromEntries(pairs.map(([name = "", px]) => [name, Number(px)] as const).filter(([, px]) => px > 0));
}

/** The `widths` of an address once one column is this wide. */
export function widened(layout: Layout, name: string, px: number): string {
  const bounded = Math.round(Math.min(WIDEST, Math.max(NARROWEST, px)));
  return Object.entries({ ...widthsOf(layout), [name]: bounded })
    .map(([each, wide]) => `${each}:${wide}`)
    .join();
}
