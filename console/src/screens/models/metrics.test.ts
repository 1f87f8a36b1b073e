import { describe, expect, it } from "vitest";
import { metricName } from "./metrics";

describe("the name of a figure", () => {
  it("is the one that people know, with its direction where lower is better", () => {
    expect(["roc_auc", "brier"].map(metricName)).toEqual(["ROC AUC", "Brier score (lower is better)"]);
  });

  it("says at which rate or rank it is taken", () => {
    expect(["recall_at_fpr_0.001", "recall_at_fpr_0.05", "card_precision_at_100"].map(metricName)).toEqual([
      "Recall at 0.1 % false positives",
      "Recall at 5 % false positives",
      "Card precision, top 100 a day",
    ]);
  });

  it("is the word of a figure that is not known here", () => {
    expect(metricName("my_own_figure")).toBe("my own figure");
  });
});
