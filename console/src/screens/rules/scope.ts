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

/** A feature in one line: "sum of amount by customer, 24h, where amount < 5", or its expression. */
export function aboutFeature(feature: FeatureDefinition): string {
  if (feature.kind === "derived") return feature.expression ?? "derived";
  const parts = [
    `${feature.aggregate ?? "aggregate"}${feature.field ? ` of ${feature.field}` : ""}${feature.entity ? ` by ${feature.entity}` : ""}`,
    feature.of?.length && `of ${feature.of.join(", ")} events`,
    feature.window,
    feature.delay && `delayed by ${feature.delay}`,
    feature.current === false && "without the event itself",
    feature.where && `where ${feature.where}`,
    feature.role && `as ${feature.role}`,
  ];
  return parts.filter(Boolean).join(", ");
}
