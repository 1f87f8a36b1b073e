import { describe, expect, it } from "vitest";
import { table } from "./matrix";

describe("the matrix of decisions", () => {
  it("has the outcomes that occur, from mild to grave, and counts every event once", () => {
    const { outcomes, rows } = table({ BLOCK: { BLOCK: 2, APPROVE: 1 }, APPROVE: { APPROVE: 6, REVIEW: 1 } });
    expect(outcomes).toEqual(["APPROVE", "REVIEW", "BLOCK"]);
    expect(rows.map((row) => row.cells.map((cell) => cell.count))).toEqual([
      [6, 1, 0],
      [0, 0, 0],
      [1, 0, 2],
    ]);
    expect(rows.flatMap((row) => row.cells).reduce((sum, cell) => sum + cell.share, 0)).toBeCloseTo(1);
    expect(rows[2]?.cells[2]?.same).toBe(true);
  });

  it("leaves out an outcome that neither of them decided", () => {
    const none = { APPROVE: 0, CHALLENGE: 0, BLOCK: 0 };
    const { outcomes } = table({ APPROVE: { ...none, APPROVE: 5, BLOCK: 1 }, CHALLENGE: none, BLOCK: none });
    expect(outcomes).toEqual(["APPROVE", "BLOCK"]);
  });

  it("is empty where nothing was compared", () => {
    expect(table({})).toEqual({ outcomes: [], rows: [] });
  });
});
