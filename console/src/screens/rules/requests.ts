/** What waits for a second pair of eyes, in words, and who may settle it. */

import type { Right } from "~/session/session";
import { t } from "~/words/language";
import { plural, value } from "~/words/numbers";
import type { Asked } from "./books";

/** What is asked for: "promote version 2", "put 3 values on the list". */
export function details({ action, details: given }: { action: string; details: Record<string, unknown> }): string {
  const version = typeof given.version === "number" ? t(" version {version}", { version: given.version }) : "";
  if (["promote", "activate"].includes(action)) return `${action}${version}`;
  if (action === "rollout")
    return t("roll out{version} to {percent} % of {of}", {
      version,
      percent: value(given.percent),
      of: value(given.of),
    });
  const entries = [given.entries, given.values].find(Array.isArray);
  const many = entries ? plural(entries.length, "value") : "values";
  if (action === "remove") return t("take {many} off the list", { many });
  return ["put", "add", "import"].includes(action) ? t("put {many} on the list", { many }) : action;
}

export interface Settling {
  approve: boolean;
  reject: boolean;
  /** Rejecting it is withdrawing it. */
  own: boolean;
  /** Why it cannot be approved by who is here, where that is not seen from the rights. */
  why: string | null;
}

/** What who is here may do about a request. */
export function settling(request: Asked, me: string, may: (right: Right) => boolean): Settling {
  if (request.stage !== "pending") return { approve: false, reject: false, own: false, why: null };
  const own = request.asked_by === me;
  const author = request.author === me;
  return {
    approve: may("approve") && !author,
    reject: may("approve") || (own && may("author")),
    own,
    why: author && may("approve") ? t("You wrote it, so another person approves it.") : null,
  };
}
