import { describe, expect, it } from "vitest";
import type { Row } from "./queries";
import { isDeclared, meaning, rowAt } from "./thresholds";

// Ten events over two days, by falling score: fraud, fraud, good, fraud, good, ...; each is worth 10.
const SCORES: [number, boolean][] = [
  [0.95, true],
  [0.9, true],
  [0.7, false],
  [0.6, true],
  [0.4, false],
  [0.3, false],
  [0.2, false],
  [0.1, false],
];
const FRAUDS = 3;

function row(at: number): Row {
  const flagged = SCORES.filter(([score]) => score >= at);
  const frauds = flagged.filter(([, fraud]) => fraud).length;
  return {
    at,
    flagged: flagged.length,
    frauds,
    precision: frauds / flagged.length,
    recall: frauds / FRAUDS,
    false_positive_rate: (flagged.length - frauds) / (SCORES.length - FRAUDS),
    alerts_per_day: flagged.length / 2,
    amount_stopped: 10 * flagged.length,
    amount_caught: 10 * frauds,
    amount_caught_share: frauds / FRAUDS,
    precision_low: null,
    precision_high: null,
    recall_low: null,
    recall_high: null,
  };
}

const TABLE = SCORES.map(([score]) => row(score)).reverse();

describe("thresholds", () => {
  it("find the row that a naive search finds, at every place", () => {
    for (let at = 0; at <= 1; at += 0.01) {
      expect(rowAt(TABLE, at)).toEqual(TABLE.find((each) => each.at >= at) ?? null);
    }
  });

  it("say what would have been stopped, looked at and blocked", () => {
    expect(meaning(TABLE, 0.5, 0.9)).toEqual({
      reviews: 1,
      blocks: 1,
      precision: 0.75,
      recall: 1,
      caught: 30,
      goodStopped: 10,
      falsePositives: 0.2,
    });
  });

  it("stop nothing above every score, and review nothing where blocking begins first", () => {
    expect(meaning(TABLE, 0.99, 0.99)).toMatchObject({ reviews: 0, blocks: 0, recall: 0, caught: 0 });
    expect(meaning(TABLE, 0.95, 0.5).reviews).toBe(0);
  });

  it("know nothing without a table", () => {
    expect(meaning([], 0.5, 0.9)).toMatchObject({ reviews: null, blocks: null });
  });
});

it("thresholds in force that are not the version's own are declared by the policy", () => {
  const own = { review_at: 0.2, block_at: 0.8 };
  expect(isDeclared({ thresholds: own, in_force: own })).toBe(false);
  expect(isDeclared({ thresholds: own, in_force: { ...own, review_at: 0.5 } })).toBe(true);
});
