/** Tables as CSV (RFC 4180), with amounts as plain numbers and times in UTC. */

type Cell = string | number | boolean | null;

/** The file's content: a line for each row. */
export function csvLines(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** Rows of a list under one heading: a column for each field that any row has, in the order in which they come. */
export function csvOfRows(rows: readonly object[]): string {
  const flat = rows.map((row) => new Map(fields(row, "")));
  const header = [...new Set(flat.flatMap((row) => [...row.keys()]))];
  return csvLines([header, ...flat.map((row) => header.map((name) => row.get(name) ?? null))]);
}

/** Offer content as a file. */
export function download(name: string, content: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** An object's fields; those of nested objects behind a dot, a field of an event (`{field, value}`) under its own name. */
function fields(of: object, under: string): [string, Cell][] {
  return Object.entries(of).flatMap(([name, value]): [string, Cell][] => {
    if (Array.isArray(value) && value.length > 0 && value.every(isNamed)) {
      return value.map((each) => [each.field, each.value]);
    }
    if (Array.isArray(value)) return [[under + name, value.map(text).join("; ")]];
    if (typeof value === "object" && value !== null) return fields(value, `${under}${name}.`);
    return [[under + name, value === undefined ? null : (value as Cell)]];
  });
}

function isNamed(found: unknown): found is { field: string; value: Cell } {
  return typeof found === "object" && found !== null && "field" in found && "value" in found;
}

function text(found: unknown): string {
  return typeof found === "object" ? JSON.stringify(found) : String(found);
}

/** A cell: behind a quote where a spreadsheet would take it for a formula. */
function cell(value: Cell): string {
  if (typeof value !== "string") return value === null ? "" : String(value);
  const inert = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
