/**
 * A refused event as fields that can be put right one by one, and back again as JSON.
 *
 * What was sent is a text; only where it is an object of JSON whose numbers a browser keeps exactly is it taken apart.
 */

import type { FieldDefinition } from "~/api/definition";
import { t } from "~/words/language";

/** What of a field's definition is needed here. */
export type Declared = Pick<FieldDefinition, "name" | "type" | "optional" | "description">;

type Kind = Declared["type"] | "other";

export interface EventField {
  name: string;
  /** What stands in the box. */
  text: string;
  kind: Kind;
  required: boolean;
  /** What it means, or that nobody reads it. */
  hint?: string;
  /** It was in what was sent. */
  sent: boolean;
}

const MASKS = ["[personal]", "****"];
const BEYOND_EXACT = /[:[,]\s*-?\d{16,}/;

/**
 * The fields of what was sent, and those that the detector needs besides; nothing where it is no plain object.
 * `declared`: the fields of the detector, where they are known.
 */
export function fieldsOf(body: string, declared: readonly Declared[] | undefined): EventField[] | undefined {
  const found = parsed(body);
  if (found === undefined) return undefined;
  const needed = (declared ?? []).filter((field) => !field.optional && !(field.name in found));
  return [...Object.keys(found), ...needed.map((field) => field.name)].map((name) => {
    const definition = declared?.find((field) => field.name === name);
    return {
      name,
      text: boxed(found[name]),
      kind: definition?.type ?? kindOf(found[name]),
      required: definition !== undefined && !definition.optional,
      hint: definition ? (definition.description ?? undefined) : declared && t("the detector does not know this field"),
      sent: name in found,
    };
  });
}

/** What somebody typed into the boxes, by the name of the field. */
export type Typed = Readonly<Record<string, string>>;

/** The fields with what was typed into them. */
export function typedInto(fields: readonly EventField[] | undefined, typed: Typed): EventField[] | undefined {
  return fields?.map((field) => ({ ...field, text: typed[field.name] ?? field.text }));
}

/** The event that the fields make. An empty box of a field that need not be there leaves it out. */
export function bodyOf(fields: readonly EventField[]): string {
  const made: Record<string, unknown> = {};
  for (const field of fields) {
    if (field.text === "" && (!field.sent || !field.required)) continue;
    made[field.name] = unboxed(field);
  }
  return JSON.stringify(made);
}

/** Whether something in it is hidden: it has to be put in again before it is sent. */
export function isMasked(text: string): boolean {
  return MASKS.some((mask) => text.includes(mask));
}

/** JSON with its parts under each other; what is no JSON, as it is. */
export function pretty(body: string): string {
  const found = parsed(body);
  return found === undefined ? body : JSON.stringify(found, null, 2);
}

function parsed(body: string): Record<string, unknown> | undefined {
  if (BEYOND_EXACT.test(body)) return undefined;
  try {
    const found: unknown = JSON.parse(body);
    return typeof found === "object" && found !== null && !Array.isArray(found)
      ? (found as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function kindOf(found: unknown): Kind {
  if (typeof found === "number") return "number";
  if (typeof found === "boolean") return "boolean";
  return typeof found === "object" && found !== null ? "other" : "text";
}

function boxed(found: unknown): string {
  if (found === undefined || found === null) return "";
  return typeof found === "string" ? found : JSON.stringify(found);
}

/** What the box means: a number where the field is one and the text reads as one; else the text, which the service judges. */
function unboxed({ text, kind }: EventField): unknown {
  const plain = text.trim();
  if ((kind === "number" || kind === "integer") && plain !== "" && Number.isFinite(Number(plain))) return Number(plain);
  if (kind === "boolean" && (plain === "true" || plain === "false")) return plain === "true";
  if (kind === "time" && /^-?\d+(\.\d+)?$/.test(plain)) return Number(plain);
  if (kind === "other") {
    try {
      return JSON.parse(plain);
    } catch {
      return text;
    }
  }
  return text;
}
