import { describe, expect, it } from "vitest";
import { bodyOf, type Declared, fieldsOf, isMasked, pretty, typedInto } from "./event";

const declare = (name: string, type: Declared["type"], optional = false) => ({
  name,
  type,
  optional,
  description: null,
});
const DECLARED = [
  declare("transaction_id", "text"),
  declare("timestamp", "time"),
  declare("amount", "number"),
  declare("note", "text", true),
  declare("online", "boolean", true),
];
const fields = (sent: unknown) => fieldsOf(JSON.stringify(sent), DECLARED) ?? [];
const put = (sent: unknown, name: string, text: string) =>
  JSON.parse(bodyOf(fields(sent).map((field) => (field.name === name ? { ...field, text } : field))));

describe("a refused event", () => {
  it("is taken apart into its fields and what is missing, and put together again as it was", () => {
    const sent = {
      transaction_id: "t1",
      timestamp: "2026-01-05T10:00:00Z",
      amount: 12.5,
      online: true,
      more: { a: [1] },
    };
    expect(JSON.parse(bodyOf(fields(sent)))).toEqual(sent);
    expect(fields(sent).map((field) => field.hint)[4]).toContain("does not know");
    const incomplete = fields({ transaction_id: "t1" });
    expect(incomplete.map((field) => [field.name, field.sent, field.required])).toEqual([
      ["transaction_id", true, true],
      ["timestamp", false, true],
      ["amount", false, true],
    ]);
  });

  it("keeps what was typed where the fields of the detector come to be known later", () => {
    const body = JSON.stringify({ amount: "ten" });
    const typed = { amount: "11" };
    const early = typedInto(fieldsOf(body, undefined), typed) ?? [];
    expect(early.map((field) => [field.name, field.text])).toEqual([["amount", "11"]]);
    const later = typedInto(fieldsOf(body, DECLARED), typed) ?? [];
    expect(later.map((field) => [field.name, field.text])).toEqual([
      ["amount", "11"],
      ["transaction_id", ""],
      ["timestamp", ""],
    ]);
  });

  it("sends a number where the field is one and the text reads as one, else the text", () => {
    const sent = { transaction_id: "7", timestamp: "2026-01-05T10:00:00Z", amount: "ten" };
    expect(put(sent, "amount", "10")).toEqual({ ...sent, amount: 10 });
    expect(put(sent, "amount", "1,5")).toEqual({ ...sent, amount: "1,5" });
    expect(put(sent, "transaction_id", "8").transaction_id).toBe("8");
    expect(put({ ...sent, timestamp: 1 }, "timestamp", "1767607200").timestamp).toBe(1767607200);
  });

  it("leaves out what is emptied and need not be there", () => {
    const sent = { transaction_id: "t1", timestamp: "x", amount: 1, note: "hello" };
    expect(put(sent, "note", "")).toEqual({ transaction_id: "t1", timestamp: "x", amount: 1 });
    expect(put(sent, "timestamp", "").timestamp).toBe("");
  });

  it("is left a text where it is no object, or where a browser would change a number", () => {
    expect(fieldsOf("{nonsense", DECLARED)).toBeUndefined();
    expect(fieldsOf("[1]", DECLARED)).toBeUndefined();
    expect(fieldsOf('{"transaction_id": 12345678901234567890}', DECLARED)).toBeUndefined();
    expect(pretty("{nonsense")).toBe("{nonsense");
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
  });

  it("knows what is hidden", () => {
    expect(isMasked("4111********1111")).toBe(true);
    expect(isMasked("[personal]")).toBe(true);
    expect(isMasked("4 stars: ***")).toBe(false);
  });
});
