/** What can be done with a rule and its versions, by their states and by who is here. */

import type { Right } from "~/session/session";
import { t } from "~/words/language";
import type { Rule, RuleVersion } from "./books";

export type StepName = "shadow" | "rollout" | "promote" | "request" | "pause" | "rollback" | "archive";

export interface Step {
  name: StepName;
  /** What the button says. */
  label: string;
  /** What it does, before it is done. */
  about: string;
  look: "main" | "plain" | "quiet" | "danger";
}

const TRIED = ["shadow", "rollout"];

/** What can be done with a rule as it is, whatever the version. */
export function stepsOfRule(rule: Rule, may: (right: Right) => boolean): Step[] {
  if (!may("approve")) return [];
  const acts = rule.active?.version;
  const tried = rule.candidate?.version;
  const steps: Step[] = [];
  if (acts !== undefined || tried !== undefined)
    steps.push({
      name: "pause",
      label: t("Pause"),
      about: tried
        ? t("Version {tried} stops; nothing else changes.", { tried })
        : t("Version {acts} decides no more, until somebody promotes one.", { acts }),
      look: "plain",
    });
  if (tried !== undefined || rule.versions > 1)
    steps.push({
      name: "rollback",
      label: t("Roll back"),
      about: tried
        ? `${t("Version {tried} stops", { tried })}${acts ? t("; version {acts} goes on for everything", { acts }) : ""}.`
        : t("The version that was active before is active again."),
      look: "plain",
    });
  if (rule.state !== "archived")
    steps.push({
      name: "archive",
      label: t("Archive"),
      about: t("No version is live or in shadow any more. Everything is kept and can be promoted again."),
      look: "danger",
    });
  return steps;
}

/** What can be done with one version. */
export function stepsOfVersion(version: RuleVersion, may: (right: Right) => boolean): Step[] {
  if (version.state === "active") return [];
  const steps: Step[] = [];
  const acts = version.state === "rollout";
  if ((may("approve") || (may("author") && !acts)) && version.state !== "shadow")
    steps.push({
      name: "shadow",
      label: t("Shadow"),
      about: acts
        ? t("Returns to shadow: where it would have fired is recorded, and no decision is affected.")
        : t("It watches: where it would have fired is recorded, and no decision changes."),
      look: "plain",
    });
  if (may("approve")) {
    steps.push({
      name: "rollout",
      label: version.state === "rollout" ? t("Change the share") : t("Roll out"),
      about: t("Applies to a percentage of customers, or of the keys of another field. Assignment is sticky."),
      look: "plain",
    });
    steps.push({
      name: "promote",
      label: t("Promote"),
      about: t("Applies to 100 % of traffic immediately. The current version is archived."),
      look: TRIED.includes(version.state) ? "main" : "plain",
    });
  } else if (may("author"))
    steps.push({
      name: "request",
      label: t("Ask to promote"),
      about: t("Somebody who may promote decides about it; until then nothing changes."),
      look: "main",
    });
  return steps;
}

/** The version that buttons at the top of the page are about: what is tried, else the newest that does not act yet. */
export function nextVersion(rule: Rule): RuleVersion | null {
  if (rule.candidate) return rule.candidate;
  return rule.newest.state === "active" ? null : rule.newest;
}
