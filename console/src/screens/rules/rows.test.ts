import { describe, expect, it } from "vitest";
import type { Definition } from "~/api/definition";
import { type Column, columnsOf, type Match, OPERATORS, operatorName, type Row, rowsOf, sqlOf } from "./rows";
import table from "./rows.json";

type Case = {
  sql: string;
  match: Match;
  rows: { column: string; operator: Row["operator"]; values: (string | number)[] }[];
};

const COLUMNS: Pick<Column, "name" | "type">[] = [
  { name: "amount", type: "number" },
  { name: "is_night", type: "boolean" },
  { name: "country", type: "text" },
  { name: "timestamp", type: "time" },
  { name: "order", type: "number" },
  { name: "pay-ment", type: "number" },
];

const row = (column: string, operator: Row["operator"], ...values: string[]): Row => ({ column, operator, values });

describe("rows of a condition", () => {
  it.each(table as Case[])("make the SQL that the service reads as the same rows: $sql", ({ sql, match, rows }) => {
    const read = rowsOf({ match, rows }, COLUMNS);
    expect(read && sqlOf(match, read, COLUMNS)).toBe(sql);
  });

  it("are all in the table: each operator of each type", () => {
    const types = new Map(COLUMNS.map((each) => [each.name, each.type]));
    const written = new Set(
      (table as Case[]).flatMap((each) => each.rows.map((one) => `${types.get(one.column)} ${one.operator}`)),
    );
    const operators = new Set([...written].map((each) => each.slice(each.indexOf(" ") + 1)));
    expect([...operators].sort()).toEqual([...new Set(Object.values(OPERATORS).flat())].sort());
  });

  it("count only once they are complete", () => {
    const rows = [
      row("amount", ">", "900"),
      row("amount", ">", ""),
      row("amount", "<", "12x"),
      row("country", "in", ""),
    ];
    expect(sqlOf("all", [...rows, row("", "=", "1"), row("gone", "=", "1")], COLUMNS)).toBe("amount > 900");
  });

  it.each([
    { column: "country", operator: "in", values: ["DE", ""] },
    { column: "country", operator: "=", values: ["two\nlines"] },
    { column: "country", operator: "<", values: ["DE"] },
    { column: "is_fraud", operator: "true", values: [] },
  ] as const)("are none where a field could not hold them: $column $operator $values", (one) => {
    expect(rowsOf({ match: "all", rows: [{ ...one, values: [...one.values] }] }, COLUMNS)).toBeNull();
  });

  it("name operators by what is compared", () => {
    expect(operatorName(">", "time")).toBe("is after");
    expect(operatorName(">", "number")).toBe("is more than");
  });
});

describe("columns", () => {
  const definition = {
    fields: [
      { name: "amount", type: "number", roles: ["amount"], choices: null },
      { name: "kind", type: "text", roles: [], choices: ["in", "out"] },
      { name: "merchant_id", type: "text", roles: ["key"], choices: null },
      { name: "is_fraud", type: "boolean", roles: ["label"], choices: null },
    ],
    examples: [{ event: { merchant_id: "M1" } }, { event: { merchant_id: "M1" } }],
    features: [
      { name: "gap_s", label: "time since", type: "number", unit: "duration", entity: "customer", usual: 90.5 },
    ],
  } as unknown as Definition;

  it("have labels, types, units and values from the definition, and no label of fraud", () => {
    const columns = columnsOf(definition);
    expect(columns.map((each) => each.name)).toEqual(["amount", "kind", "merchant_id", "gap_s", "score"]);
    expect(columns[1]).toMatchObject({ values: ["in", "out"], closed: true, group: "Event" });
    expect(columns[2]).toMatchObject({ values: ["M1"], closed: false });
    expect(columns[3]).toMatchObject({ label: "time since", unit: "seconds", usual: "90.5", group: "Of the customer" });
  });
});
