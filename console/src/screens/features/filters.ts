/** Which features the table shows. */

import type { FeatureDefinition } from "~/api/definition";
import { aboutFeature } from "~/screens/rules/scope";

export interface Filter {
  find?: string;
  entity?: string;
  /** aggregate, derived, or made: by people at run time. */
  kind?: string;
}

export const KINDS = ["aggregate", "derived", "made"] as const;

/** The features that fit: by a part of their name, definition or readers, by entity and by kind. */
export function filtered(features: readonly FeatureDefinition[], { find, entity, kind }: Filter): FeatureDefinition[] {
  const sought = find?.trim().toLowerCase() ?? "";
  return features.filter(
    (each) =>
      (entity === undefined || each.entity === entity) &&
      (kind === undefined || (kind === "made" ? each.made === true : each.kind === kind)) &&
      (sought === "" || said(each).includes(sought)),
  );
}

function said(feature: FeatureDefinition): string {
  const { rules, features } = feature.used_by;
  return [feature.name, aboutFeature(feature), ...rules, ...features].join(" ").toLowerCase();
}
