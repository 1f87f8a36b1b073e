// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiProblem } from "~/api/client";
import type { Case } from "./outbox";
import { lineInWords, noteOf, refusal, sweepInWords } from "./told";

const held = {
  state: "taken",
  owner: "ben",
  locked_until: new Date(2026, 10, 22, 12, 10).toISOString(),
  verdict: null,
} as Case;
const decided = { state: "decided", decided_by: "ben", verdict: "fraud", reason_code: "card_stolen" } as Case;
const conflict = new ApiProblem(409, "case c1 is held by ben until 2026-11-22T00:00:00Z");

describe("cases in words", () => {
  beforeEach(() => void vi.useFakeTimers({ now: new Date(2026, 10, 22, 12) }));
  afterEach(() => void vi.useRealTimers());

  it("says who was first, and when the case is free again", () => {
    expect(refusal(conflict, held, "ana")).toMatch(/^ben holds this case until \d\d:\d\d:\d\d\.$/);
    expect(refusal(conflict, decided, "ana")).toBe("ben decided this case before: fraud, card stolen.");
  });

  it("leaves to the service what only it knows", () => {
    expect(refusal(conflict, { ...held, owner: "ana" }, "ana")).toBe(conflict.detail);
    expect(refusal(new ApiProblem(422, "no such reason"), held, "ana")).toBe("no such reason");
    expect(refusal(new TypeError("fetch"), undefined, "ana")).toContain("does not answer");
  });

  it("tells a history", () => {
    const line = (action: string, details: Record<string, unknown>) => ({ at: "", who: "ana", action, details });
    expect(lineInWords(line("escalate", { from: "review", to: "experts", note: "odd" }))).toBe(
      "escalated from review to experts",
    );
    expect(lineInWords(line("verdict", { verdict: "good", before: "fraud", reason: "false_alarm" }))).toBe(
      "said legitimate, false alarm (before: fraud)",
    );
    expect(noteOf(line("note", { text: "called" }))).toBe("called");
    expect(noteOf(line("take", {}))).toBeUndefined();
  });

  it("says what a verdict over many touches and what it leaves alone", () => {
    const skipped = [
      { id: "1", why: "held by ben" },
      { id: "2", why: "held by ben" },
    ];
    const swept = {
      dry_run: false,
      count: 3,
      amount: 120,
      amounts: [
        { currency: "EUR", amount: 90 },
        { currency: null, amount: 30 },
      ],
      cases: [],
      skipped,
      more: false,
    };
    expect(sweepInWords(swept, "good")).toBe(
      "3 cases marked legitimate, €90.00 and 30.00 in all; 2 left alone: 2 held by ben.",
    );
    expect(sweepInWords({ ...swept, dry_run: true, count: 1, skipped: [] }, "fraud")).toBe(
      "1 case will be marked fraud, €90.00 and 30.00 in all.",
    );
  });
});
