/** Figures of models by the names that people know. */

import { t } from "~/words/language";
import { words } from "~/words/numbers";

const NAMES: Record<string, string> = {
  average_precision: t("Average precision"),
  brier: t("Brier score (lower is better)"),
  ece: t("Calibration error, ECE (lower is better)"),
  f1: t("F1 score"),
  log_loss: t("Log loss (lower is better)"),
  precision: t("Precision"),
  recall: t("Recall"),
  roc_auc: "ROC AUC",
  value_detection_rate: t("Value detection rate"),
};

/** What a figure is called: "recall_at_fpr_0.01" is "Recall at 1 % false positives". */
export function metricName(name: string): string {
  const at = /^recall_at_fpr_([\d.]+)$/.exec(name)?.[1];
  if (at) return t("Recall at {value} % false positives", { value: Number((100 * Number(at)).toFixed(4)) });
  const top = /^card_precision_at_(\d+)$/.exec(name)?.[1];
  if (top) return t("Card precision, top {top} a day", { top });
  return NAMES[name] ?? words(name);
}
