import { describe, expect, it } from "vitest";
import { offersAt, type Scope } from "./completion";

const SCOPE: Scope = {
  fields: [{ name: "amount", type: "number" }],
  features: [{ name: "amount_ratio", type: "number", about: "amount / avg_amount_7d" }],
  lists: [{ name: "stolen_devices", about: "reported by phone" }],
};

const at = (text: string, asked = false) => offersAt(text, text.length, SCOPE, asked);
const labels = (text: string) => at(text)?.offers.map((each) => each.label) ?? [];

describe("what a condition may say", () => {
  it("is every name, function and keyword where a word has been begun", () => {
    expect(labels("am")).toEqual(expect.arrayContaining(["amount", "amount_ratio", "hour", "distance_km", "AND"]));
    expect(at("is_night AND am")?.from).toBe("is_night AND ".length);
  });

  it("is nothing before something has been begun, unless somebody asks", () => {
    expect(at("amount > ")).toBeNull();
    expect(at("amount > ", true)?.from).toBe("amount > ".length);
  });

  it("is the lists alone inside the quotes of a list", () => {
    const inside = at("device_id IN list('sto");
    expect(inside?.offers.map((each) => each.label)).toEqual(["stolen_devices"]);
    expect(inside?.from).toBe("device_id IN list('".length);
  });

  it("is nothing inside a text, and something after it", () => {
    expect(at("country = 'a")).toBeNull();
    expect(labels("country = 'it''s' AND a")).toContain("amount");
  });

  it("names functions with what they take and give", () => {
    const hour = at("ho")?.offers.find((each) => each.label === "hour");
    expect(hour).toMatchObject({ kind: "function", detail: "(time, [zone]) → number", apply: "hour(" });
  });
});
