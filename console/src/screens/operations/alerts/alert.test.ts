import { describe, expect, it } from "vitest";
import { alertOf } from "./alert";

describe("an alert", () => {
  it("is read with what is there", () => {
    const found = alertOf({
      key: "k",
      rule: "burst",
      severity: "critical",
      text: "7 in a minute",
      transaction_id: null,
    });
    expect(found).toMatchObject({
      key: "k",
      text: "7 in a minute",
      transaction: undefined,
      suppressed: 0,
      detector: "",
    });
    expect(alertOf({ transaction_id: "t1", suppressed: 3 })).toMatchObject({ transaction: "t1", suppressed: 3 });
  });
});
