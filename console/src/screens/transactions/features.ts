/** Features of a decision as they are looked at: found by name, and what is usual of them. */

import type { ServedFeature } from "~/api/detectors";
import type { Decision } from "~/api/transactions";
import { t } from "~/words/language";
import { words } from "~/words/numbers";

export interface FeatureRow {
  name: string;
  /** What it is called in words. */
  label: string;
  value: unknown;
  unit: string | null;
  /** How far it moved the score, in log-odds; null where the models do not read it. */
  contribution: number | null;
  /** What it is, in short. */
  about: string;
}

/** Every feature of a decision, in the order of the decision. */
export function featureRows(decision: Decision, served: readonly ServedFeature[]): FeatureRow[] {
  const moved = new Map(decision.explanation.contributions.map((each) => [each.feature, each.contribution]));
  const known = new Map(served.map((each) => [each.name, each]));
  return Object.entries(decision.features).map(([name, found]) => ({
    name,
    label: known.get(name)?.label ?? words(name),
    value: found,
    unit: known.get(name)?.unit ?? null,
    contribution: moved.get(name) ?? null,
    about: described(known.get(name)),
  }));
}

function described(feature: ServedFeature | undefined): string {
  if (!feature) return "";
  if (!feature.aggregate) return feature.definition ?? "derived";
  const of = feature.field ? t(" of {field}", { field: feature.field }) : "";
  return `${feature.entity}: ${feature.aggregate}${of}, ${feature.window === "ever" ? "ever" : t("last {window}", { window: feature.window })}`;
}

/** Those whose name or label holds every word that is sought. */
export function found<T extends { name: string; label?: string }>(rows: readonly T[], sought: string): readonly T[] {
  const parts = sought
    .toLowerCase()
    .split(/[\s_]+/)
    .filter(Boolean);
  return parts.length === 0
    ? rows
    : rows.filter((row) => parts.every((part) => `${row.name} ${row.label ?? ""}`.toLowerCase().includes(part)));
}
