/** What a detector's definition gives the editor to offer. */

import type { Definition, FeatureDefinition } from "~/api/definition";
import { t } from "~/words/language";
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
      { name: "score", type: "number", about: t("the probability of fraud that the models give") },
    ],
    lists: lists
      .filter((list) => !list.archived)
      .map((list) => ({ name: list.name, about: list.about || t("{kind} list", { kind: list.kind }) })),
  };
}

/** A feature in one line: "sum of amount by customer, 24h, where amount < 5", or its expression. */
export function aboutFeature(feature: FeatureDefinition): string {
  if (feature.kind === "derived") return feature.expression ?? "derived";
  const parts = [
    `${feature.aggregate ?? "aggregate"}${feature.field ? t(" of {field}", { field: feature.field }) : ""}${feature.entity ? t(" by {entity}", { entity: feature.entity }) : ""}`,
    feature.of?.length && t("of {value} events", { value: feature.of.join(", ") }),
    feature.window,
    feature.delay && t("delayed by {delay}", { delay: feature.delay }),
    feature.current === false && t("without the event itself"),
    feature.where && t("where {where}", { where: feature.where }),
    feature.role && t("as {role}", { role: feature.role }),
  ];
  return parts.filter(Boolean).join(", ");
}
