/** The steps of a rule's life, as the service takes them, and what is said when one was taken. */

import { api, say } from "~/api/client";
import { t } from "~/words/language";
import type { Asked, Rule } from "./books";
import type { Guard } from "./GuardFields";
import type { StepName } from "./steps";

export interface Given {
  version: number | null;
  note: string;
  percent: number;
  of: string;
  guards: readonly Guard[] | null;
}

/** Takes a step; what is to be said of it. A refusal is thrown in the service's words. */
export async function takeStep(detector: string, rule: string, step: StepName, given: Given): Promise<string> {
  return outcome(step, rule, say(await asked(detector, rule, step, given)));
}

function asked(detector: string, rule: string, step: StepName, { version, note, percent, of, guards }: Given) {
  const params = { path: { name: detector, rule } };
  const number = version ?? 1;
  switch (step) {
    case "shadow":
      return api.POST("/detectors/{name}/rules/{rule}/shadow", { params, body: { version: number, note } });
    case "rollout":
      return api.POST("/detectors/{name}/rules/{rule}/rollout", {
        params,
        body: { version: number, percent, of, note, guards: guards ? [...guards] : null },
      });
    case "promote":
      return api.POST("/detectors/{name}/rules/{rule}/promote", { params, body: { version, note } });
    case "request":
      return api.POST("/detectors/{name}/rules/{rule}/request", {
        params,
        body: { version: number, action: "promote", note, percent: null, of: null },
      });
    case "pause":
      return api.POST("/detectors/{name}/rules/{rule}/pause", { params, body: { note } });
    case "rollback":
      return api.POST("/detectors/{name}/rules/{rule}/rollback", { params, body: { note } });
    case "archive":
      return api.POST("/detectors/{name}/rules/{rule}/archive", { params, body: { note } });
  }
}

/** What is said of a step that was taken; of one that waits for another person, that nothing has changed. */
export function outcome(
  step: StepName,
  rule: string,
  { rule: now, request }: { rule: Rule; request: Asked | null },
): string {
  if (request) return t("{rule}: waits for another person to approve it. Nothing has changed yet.", { rule });
  const acts = now.active ? t("version {version} is live", { version: now.active.version }) : t("no version is live");
  switch (step) {
    case "shadow":
      return t("{rule}: version {version} is in shadow.", {
        rule,
        version: now.candidate?.version ?? now.newest.version,
      });
    case "rollout":
      return t("{rule}: version {version} is live for {percent} % of {of}.", {
        rule,
        version: now.candidate?.version,
        percent: now.candidate?.rollout?.percent,
        of: now.candidate?.rollout?.of,
      });
    case "archive":
      return t("{rule}: archived.", { rule });
    default:
      return `${rule}: ${acts}${now.candidate ? t(", version {version} is a candidate", { version: now.candidate.version }) : ""}.`;
  }
}
