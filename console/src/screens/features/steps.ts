/** What can be done with a feature that people made, by its state and by who is here. */

import type { Right } from "~/session/session";
import { t } from "~/words/language";
import type { FeatureStep, Made } from "./made";

export interface Step {
  name: FeatureStep;
  label: string;
  about: string;
  look: "main" | "plain" | "danger";
  version: number | null;
}

const REQUEST: Omit<Step, "version"> = {
  name: "request",
  label: t("Ask to activate"),
  about: t("Somebody who may activate features decides about it; until then nothing changes."),
  look: "main",
};

/** The steps that make sense now. */
export function stepsOf(feature: Made, may: (right: Right) => boolean): Step[] {
  const newest = feature.versions[0];
  const filling = feature.versions.find((each) => each.state === "filling");
  const waits = newest && newest.state !== "active" && newest.state !== "filling" ? newest.version : null;
  if (!may("approve")) return waits && may("author") ? [{ ...REQUEST, version: waits }] : [];
  const steps: Step[] = [];
  if (waits)
    steps.push({
      name: "activate",
      label: t("Activate"),
      about: t("It is filled from the log, beside the traffic, and computed for every event as soon as it has been."),
      look: "main",
      version: waits,
    });
  if (filling || feature.versions.length > 1)
    steps.push({
      name: "rollback",
      label: t("Roll back"),
      about: filling
        ? t("Version {version} is filled no more; what was active goes on.", { version: filling.version })
        : t("The version that was active before is filled again, and takes its place."),
      look: "plain",
      version: null,
    });
  if (feature.state !== "archived")
    steps.push({
      name: "archive",
      label: t("Archive"),
      about: t("It is computed no more. Refused while a rule, a model or another feature reads it."),
      look: "danger",
      version: null,
    });
  return steps;
}
