import { describe, expect, it } from "vitest";
import { type Attempt, answerInWords, selectionInWords, type Webhook } from "./webhooks";

const everything = { types: [], decisions: [], detectors: [] } as unknown as Webhook;

describe("what an endpoint is sent", () => {
  it("is everything where nothing is chosen", () => {
    expect(selectionInWords(everything)).toBe("everything");
  });

  it("is named as one chooses it", () => {
    const types = ["penstock.decision.made", "penstock.rule.changed", "penstock.case.*"];
    expect(selectionInWords({ ...everything, types })).toBe("decisions, cases and verdicts, penstock.rule.changed");
  });

  it("says which decisions, and whose", () => {
    const some = {
      ...everything,
      types: ["penstock.decision.made"],
      decisions: ["REVIEW", "BLOCK"],
      detectors: ["card"],
    };
    expect(selectionInWords(some as Webhook)).toBe("decisions; decisions review, block of card");
  });
});

describe("what came back", () => {
  it("is the status and its time, or why there is none", () => {
    expect(answerInWords({ status: 500, took_ms: 12, detail: "" } as Attempt)).toBe("answered 500 in 12 ms");
    expect(answerInWords({ status: null, took_ms: 0, detail: "refused" } as Attempt)).toBe("refused");
  });
});
