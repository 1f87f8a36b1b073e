/** What a detector's definition gives the editor to offer. */

import type { Definition, FeatureDefinition } from "~/api/definition";
import type { KeptList } from "./books";
import type { Scope } from "./completion";

/** The names that conditions may use. Labels are known only later, so they are none. */
export function scopeOf(definition: Definition | undefined, lists: readonly KeptList[]): Scope {
  return {
    fields: (definition?.fields ?? [])
      .filter((field) => !field.roles.includes("label"))
      .map((field) => ({
        name: field.name,
        type: field.type,
        ...(field.description ? { about: field.description } : {}),
      })),
    features: [
      ...(definition?.features ?? []).map((feature) => ({
        name: feature.name,
        type: feature.type,
        about: aboutFeature(feature),
      })),
      { name: "score", type: "number", about: "the probability of fraud that the models give" },
    ],
    lists: lists
      .filter((list) => !list.archived)
      .map((list) => ({ name: list.name, about: list.about || `${list.kind} list` })),
  };
}

/** A feature in one line: "sum of amount by customer, 24h", or its expression. */
export function aboutFeature(feature: FeatureDefinition): string {
  if (feature.kind === "derived") return feature.expression ?? "derived";
  const of = feature.field ? ` of ${feature.field}` : "";
  const by = feature.entity ? ` by ${feature.entity}` : "";
  const over = feature.window ? `, ${feature.window}` : "";
  return `${feature.aggregate ?? "aggregate"}${of}${by}${over}${feature.current === false ? ", without the event itself" : ""}`;
}
