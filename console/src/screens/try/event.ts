/** An event as it is typed into a form: texts become values of the schema's kinds, and a curl that sends the same. */

import type { FieldDefinition } from "~/api/definition";

export type Field = FieldDefinition;
export type Values = Readonly<Record<string, string>>;

/** What is typed, for an example; what the example leaves out is empty. */
export function typed(fields: readonly Field[], example: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(fields.map((field) => [field.name, written(example[field.name])]));
}

function written(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The event: empty optional fields are left out; what is no number stays a text, so that the service says what is wrong. */
export function event(fields: readonly Field[], values: Values): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const field of fields) {
    const text = values[field.name] ?? "";
    if (text === "" && (field.optional || field.type !== "text")) continue;
    found[field.name] = value(field.type, text);
  }
  return found;
}

function value(type: Field["type"], text: string): unknown {
  if (type === "boolean") return text === "true";
  if ((type === "number" || type === "integer") && text.trim() !== "" && Number.isFinite(Number(text)))
    return Number(text);
  return text;
}

/** What a form asks for: not what becomes known only later. */
export function asked(fields: readonly Field[]): Field[] {
  return fields.filter((field) => !field.roles.includes("label"));
}

/** cURL; quotes inside a text survive. */
export function curl(url: string, body: unknown, { key }: { key: boolean }): string {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const lines = [
    `curl -s '${url}' \\`,
    ...(key ? [`  -H "Authorization: Bearer $PENSTOCK_KEY" \\`] : []),
    "  -H 'content-type: application/json' \\",
    `  -d '${quoted}'`,
  ];
  return lines.join("\n");
}

/** An id that nothing was decided under before. */
export function freshId(now = Date.now()): string {
  return `try-${now.toString(36)}`;
}
