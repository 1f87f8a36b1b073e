/** A condition as rows of column, operator and values: which operators a type has, and the SQL that rows make. */

import type { Schemas } from "~/api/client";
import type { Definition } from "~/api/definition";
import { t } from "~/words/language";
import { value } from "~/words/numbers";

export type Match = Schemas["Comparisons"]["match"];
export type Operator = Schemas["Comparison"]["operator"];
export type ColumnType = "number" | "text" | "boolean" | "time";

/** A row while it is written: values are as typed. */
export interface Row {
  column: string;
  operator: Operator;
  values: readonly string[];
}

/** What a row can be about. */
export interface Column {
  name: string;
  label: string;
  type: ColumnType;
  /** What it stands under in the menu: of the event, of an entity. */
  group: string;
  unit: string | null;
  /** Values that are offered: all where `closed`, else some. */
  values: readonly string[];
  closed: boolean;
  usual: string | null;
}

const NUMBERS: readonly Operator[] = [">", ">=", "<", "<=", "=", "<>", "in", "not in", "known", "missing"];

export const OPERATORS: Record<ColumnType, readonly Operator[]> = {
  number: NUMBERS,
  text: ["=", "<>", "in", "not in", "in list", "not in list", "like", "not like", "known", "missing"],
  boolean: ["true", "false", "known", "missing"],
  time: [">", ">=", "<", "<=", "known", "missing"],
};

const NAMES: Record<Operator, string> = {
  "=": "is",
  "<>": t("is not"),
  "<": t("is less than"),
  "<=": t("is at most"),
  ">": t("is more than"),
  ">=": t("is at least"),
  in: t("is one of"),
  "not in": t("is none of"),
  "in list": t("is on the list"),
  "not in list": t("is not on the list"),
  like: "matches",
  "not like": t("does not match"),
  true: t("is true"),
  false: t("is false"),
  known: t("is known"),
  missing: t("is missing"),
};

const TIMES: Partial<Record<Operator, string>> = {
  "<": t("is before"),
  "<=": t("is at or before"),
  ">": t("is after"),
  ">=": t("is at or after"),
};

/** What an operator is called for values of a type. */
export function operatorName(operator: Operator, type: ColumnType): string {
  return (type === "time" && TIMES[operator]) || NAMES[operator];
}

const UNITS: Record<string, string> = {
  duration: "seconds",
  km: "km",
  times: "times",
  share: t("from 0 to 1"),
  amount: t("as amounts are"),
};

/** The columns of a detector that rows can be about; labels are known only later, so they are none. */
export function columnsOf(definition: Definition | undefined): readonly Column[] {
  if (!definition) return [];
  const seen = (name: string) => [
    ...new Set(
      definition.examples.map((each) => (each.event as Record<string, unknown>)[name]).filter((each) => each != null),
    ),
  ];
  return [
    ...definition.fields
      .filter((field) => !field.roles.includes("label"))
      .map((field) => ({
        name: field.name,
        label: field.name.replaceAll("_", " "),
        type: typeOf(field.type),
        group: "Event",
        unit: null,
        values: (field.choices ?? (field.type === "text" ? seen(field.name) : [])).map(String),
        closed: field.choices != null && field.type === "text",
        usual: null,
      })),
    ...definition.features.map((feature) => ({
      name: feature.name,
      label: feature.label,
      type: typeOf(feature.type),
      group: feature.entity ? t("Of the {value}", { value: feature.entity.replaceAll("_", " ") }) : t("Derived"),
      unit: UNITS[feature.unit ?? ""] ?? null,
      values: [],
      closed: false,
      usual: feature.usual == null ? null : value(feature.usual),
    })),
    {
      name: "score",
      label: t("score of the models"),
      type: "number",
      group: "Model",
      unit: t("from 0 to 1"),
      values: [],
      closed: false,
      usual: null,
    },
  ];
}

function typeOf(type: string): ColumnType {
  if (type === "text" || type === "boolean" || type === "time") return type;
  return "number";
}

type Typed = Pick<Column, "name" | "type">;

/** The rows of a condition as the service reads it; null where a field of the form could not hold one of its values. */
export function rowsOf({ rows }: Schemas["Comparisons"], columns: readonly Typed[]): readonly Row[] | null {
  const types = new Map(columns.map((each) => [each.name, each.type]));
  const fits = rows.every(({ column, operator, values }) => {
    const type = types.get(column);
    return (
      type && OPERATORS[type].includes(operator) && values.every((each) => each !== "" && !/\n/.test(String(each)))
    );
  });
  return fits ? rows.map((row) => ({ ...row, values: row.values.map(String) })) : null;
}

/** The condition that rows make; those that are not complete yet are left out. */
export function sqlOf(match: Match, rows: readonly Row[], columns: readonly Typed[]): string {
  const types = new Map(columns.map((each) => [each.name, each.type]));
  return rows
    .map((row) => rowSql(row, types.get(row.column)))
    .filter((sql) => sql !== null)
    .join(match === "all" ? " AND " : " OR ");
}

function rowSql({ column, operator, values }: Row, type: ColumnType | undefined): string | null {
  const name = identifier(column);
  if (column === "" || type === undefined) return null;
  switch (operator) {
    case "true":
      return name;
    case "false":
      return `NOT ${name}`;
    case "known":
      return `${name} IS NOT NULL`;
    case "missing":
      return `${name} IS NULL`;
  }
  const several = operator === "in" || operator === "not in";
  const literals = (several ? values.filter((each) => each !== "") : values.slice(0, 1)).map((each) =>
    literal(each, type),
  );
  if (literals.length === 0 || literals.includes(null)) return null;
  switch (operator) {
    case "in":
    case "not in":
      return `${name} ${operator.toUpperCase()} (${literals.join(", ")})`;
    case "in list":
    case "not in list":
      return `${name} ${operator.toUpperCase()}(${literals[0]})`;
    default:
      return `${name} ${operator.toUpperCase()} ${literals[0]}`;
  }
}

/** A value as SQL; null where it is none of the type yet. */
function literal(typed: string, type: ColumnType): string | null {
  if (type === "number") return typed.trim() !== "" && Number.isFinite(Number(typed)) ? String(Number(typed)) : null;
  if (typed === "") return null;
  const quoted = `'${typed.replaceAll("'", "''")}'`;
  return type === "time" ? `TIMESTAMP ${quoted}` : quoted;
}

const RESERVED =
  /^(?:all|and|any|as|between|by|case|cast|distinct|else|end|exists|false|from|group|having|in|interval|is|join|like|ilike|limit|not|null|on|or|order|select|some|then|true|union|using|when|where|with)$/i;

function identifier(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) && !RESERVED.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
