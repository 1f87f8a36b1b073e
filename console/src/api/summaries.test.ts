// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { nameOf } from "./summaries";

const field = (role: string, value: string) => ({ field: role, value, role, entity: null });

describe("what an event is called", () => {
  it("says who pays whom, then the rest", () => {
    const named = [field("payer", "C1"), field("payee", "M7"), field("detail", "DE")];
    expect(nameOf({ named, transaction_id: "t" })).toBe("C1 → M7 · DE");
  });

  it("needs no payee, and is the id where nothing names it", () => {
    expect(nameOf({ named: [field("payer", "7"), field("detail", "D")], transaction_id: "t" })).toBe("7 · D");
    expect(nameOf({ named: [], transaction_id: "t" })).toBe("t");
  });
});
