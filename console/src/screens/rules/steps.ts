/** What can be done with a rule and its versions, by their states and by who is here. */

import type { Right } from "~/session/session";
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
      label: "Pause",
      about: tried
        ? `Version ${tried} stops; nothing else changes.`
        : `Version ${acts} decides no more, until somebody promotes one.`,
      look: "plain",
    });
  if (tried !== undefined || rule.versions > 1)
    steps.push({
      name: "rollback",
      label: "Roll back",
      about: tried
        ? `Version ${tried} stops${acts ? `; version ${acts} goes on for everything` : ""}.`
        : "The version that was active before is active again.",
      look: "plain",
    });
  if (rule.state !== "archived")
    steps.push({
      name: "archive",
      label: "Archive",
      about: "No version is live or in shadow any more. Everything is kept and can be promoted again.",
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
      label: "Shadow",
      about: acts
        ? "Returns to shadow: where it would have fired is recorded, and no decision is affected."
        : "It watches: where it would have fired is recorded, and no decision changes.",
      look: "plain",
    });
  if (may("approve")) {
    steps.push({
      name: "rollout",
      label: version.state === "rollout" ? "Change the share" : "Roll out",
      about: "Applies to a percentage of customers, or of the keys of another field. Assignment is sticky.",
      look: "plain",
    });
    steps.push({
      name: "promote",
      label: "Promote",
      about: "Applies to 100 % of traffic immediately. The current version is archived.",
      look: TRIED.includes(version.state) ? "main" : "plain",
    });
  } else if (may("author"))
    steps.push({
      name: "request",
      label: "Ask to promote",
      about: "Somebody who may promote decides about it; until then nothing changes.",
      look: "main",
    });
  return steps;
}

/** The version that buttons at the top of the page are about: what is tried, else the newest that does not act yet. */
export function nextVersion(rule: Rule): RuleVersion | null {
  if (rule.candidate) return rule.candidate;
  return rule.newest.state === "active" ? null : rule.newest;
}
