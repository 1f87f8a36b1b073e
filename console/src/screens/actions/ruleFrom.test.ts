import { describe, expect, it } from "vitest";
import type { Decision } from "~/api/transactions";
import { conditionOf, equals, isOneOf } from "./ruleFrom";

const explanation = (more: object) => ({ reasons: [], contributions: [], rules: [], ...more }) as unknown as Decision["explanation"]; // biome-ignore format: one line

describe("a rule that is written from a transaction", () => {
  it("holds for it by what moved the score most, on the side on which it is unusual", () => {
    const contributions = [
      { feature: "count_last_5m", value: 8, contribution: 2 },
      { feature: "avg_amount", value: 9, contribution: -1.5 },
      { feature: "seconds_since_last", value: 1.2604, contribution: 1 },
      { feature: "km", value: 3, contribution: 0.5 },
    ];
    const reasons = [{ feature: "seconds_since_last", usual: 10_628 }];
    expect(conditionOf({ explanation: explanation({ contributions, reasons }) })).toBe(
      "count_last_5m >= 8 AND seconds_since_last <= 1.26",
    );
  });

  it("takes what the rule that fired read where no model scored it", () => {
    const rules = [{ name: "spike", action: "block", values: { is_night: true, city: "Zug", x: null } }];
    expect(conditionOf({ explanation: explanation({ rules }) })).toBe("is_night AND city = 'Zug'");
  });

  it("quotes texts as SQL does", () => {
    expect([equals("merchant", "O'Neill"), equals("user_id", 7)]).toEqual(["merchant = 'O''Neill'", "user_id = 7"]);
  });

  it("names the keys of a ring, quotes doubled", () => {
    expect(isOneOf("customer", ["C1", "O'Neil"])).toBe("customer IN ('C1', 'O''Neil')");
    expect(isOneOf("device", [1, 40])).toBe("device IN (1, 40)");
  });
});
