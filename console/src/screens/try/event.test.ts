import { describe, expect, it } from "vitest";
import { asked, curl, event, type Field, freshId, typed } from "./event";

function field(name: string, type: Field["type"], more: Partial<Field> = {}): Field {
  return {
    name,
    type,
    optional: false,
    description: null,
    example: null,
    choices: null,
    minimum: null,
    maximum: null,
    roles: [],
    entities: [],
    personal: false,
    ...more,
  };
}

const FIELDS = [
  field("transaction_id", "text", { roles: ["id"] }),
  field("amount", "number"),
  field("lat", "number", { optional: true }),
  field("is_new", "boolean"),
  field("is_fraud", "boolean", { optional: true, roles: ["label"] }),
];

describe("an event of a form", () => {
  it("comes out as it went in", () => {
    const example = { transaction_id: "t1", amount: 12.5, is_new: true };
    expect(event(asked(FIELDS), typed(FIELDS, example))).toEqual(example);
  });

  it("leaves out what is optional and empty, and never asks for the label", () => {
    expect(asked(FIELDS).map((each) => each.name)).toEqual(["transaction_id", "amount", "lat", "is_new"]);
    expect(event(FIELDS, { transaction_id: "", amount: "1" })).toEqual({ transaction_id: "", amount: 1 });
  });

  it("sends what is no number as it was typed, for the service to refuse", () => {
    expect(event(FIELDS, { amount: "12,5" }).amount).toBe("12,5");
  });
});

describe("the same from a shell", () => {
  it("survives quotes and names the key only where one is needed", () => {
    const text = curl("http://h/predict?dry_run=true", { note: "it's" }, { key: true });
    expect(text).toContain(`'{"note":"it'\\''s"}'`);
    expect(text).toContain("$PENSTOCK_KEY");
    expect(curl("http://h/predict", {}, { key: false })).not.toContain("Authorization");
  });

  it("never uses an id twice", () => {
    expect(freshId(1)).not.toBe(freshId(2));
  });
});
