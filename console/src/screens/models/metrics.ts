/** Figures of models by the names that people know. */

import { words } from "~/words/numbers";

const NAMES: Record<string, string> = {
  average_precision: "Average precision",
  brier: "Brier score (lower is better)",
  ece: "Calibration error, ECE (lower is better)",
  f1: "F1 score",
  log_loss: "Log loss (lower is better)",
  precision: "Precision",
  recall: "Recall",
  roc_auc: "ROC AUC",
  value_detection_rate: "Value detection rate",
};

/** What a figure is called: "recall_at_fpr_0.01" is "Recall at 1 % false positives". */
export function metricName(name: string): string {
  const at = /^recall_at_fpr_([\d.]+)$/.exec(name)?.[1];
  if (at) return `Recall at ${Number((100 * Number(at)).toFixed(4))} % false positives`;
  const top = /^card_precision_at_(\d+)$/.exec(name)?.[1];
  if (top) return `Card precision, top ${top} a day`;
  return NAMES[name] ?? words(name);
}
