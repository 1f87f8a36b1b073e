import { describe, expect, it } from "vitest";
import { disagreement } from "./disagreement";
import { sentence, where } from "./sentence";

const field = (role: string, value: string) => ({ field: role, value, role, entity: null });
const both = [field("payer", "C1"), field("payee", "M7"), field("detail", "Lagos")];

describe("a transaction in words", () => {
  it("says who paid whom and how much, as far as it is known", () => {
    const about = { amount: 37.08, currency: "USD", named: both, transaction_id: "t" };
    expect(sentence(about)).toBe("C1 paid $37.08 to M7");
    expect(sentence({ ...about, named: [] })).toBe("$37.08");
    expect(sentence({ ...about, amount: null })).toBe("C1 → M7");
    expect(sentence({ ...about, amount: null, named: [] })).toBe("Transaction t");
  });

  it("says where", () => {
    const places = [{ name: "transaction", latitude: -6.524, longitude: 3.379, fields: [] }];
    expect(where({ named: both, places })).toBe("Lagos · 6.52° S, 3.38° E · ");
    expect(where({ named: [], places: [] })).toBe("");
  });
});

describe("the model beside a rule", () => {
  const policy = { challenge_at: null, review_at: 0.2, block_at: 0.8, on_failure: "review" };

  it("disagrees where its score alone would have decided otherwise", () => {
    expect(disagreement("BLOCK", "amount_spike", 0.003, policy)).toBe("approve");
    expect(disagreement("APPROVE", "trusted", 0.9, policy)).toBe("block");
    expect(disagreement("BLOCK", "amount_spike", 0.9, policy)).toBeNull();
  });

  it("says nothing where the score decided, or there is none", () => {
    expect(disagreement("REVIEW", "ml_probability", 0.3, policy)).toBeNull();
    expect(disagreement("BLOCK", "amount_spike", null, policy)).toBeNull();
    expect(disagreement("REVIEW", "degraded", 0.01, policy)).toBeNull();
  });
});
