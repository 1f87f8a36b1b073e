/** Cases, refusals and histories in words. */

import { ApiProblem, type Schemas } from "~/api/client";
import { told } from "~/ui/Asked";
import { t } from "~/words/language";
import { plural, sums, verdictWord, words } from "~/words/numbers";
import { duration, moment } from "~/words/times";
import type { Case } from "./outbox";

type Line = Schemas["LineForm"];

/** Why something was refused. Where somebody else was first, who it was and what they did, as the case says it now. */
export function refusal(error: unknown, now: Case | undefined, me: string): string {
  if (!(error instanceof ApiProblem) || error.status !== 409 || now === undefined) return told(error);
  if (now.state === "decided")
    return t("{decided_by} decided this case before: {now}.", { decided_by: now.decided_by, now: verdictInWords(now) });
  if (now.state === "taken" && now.owner !== me)
    return t("{owner} holds this case until {now}.", { owner: now.owner, now: until(now) });
  return told(error);
}

/** A verdict with its reason. */
export function verdictInWords(of: Case): string {
  if (of.verdict === null) return t("no verdict");
  const verdict = verdictWord(of.verdict);
  return of.reason_code ? `${verdict}, ${words(of.reason_code)}` : verdict;
}

/** Until when a case is held. */
export function until(of: Case): string {
  return of.locked_until === null ? "–" : moment(of.locked_until);
}

/** When a case is due, in a word or two. */
export function dueInWords(of: Pick<Case, "due_at">, now = Date.now()): string | undefined {
  if (of.due_at === null) return undefined;
  const left = (new Date(of.due_at).getTime() - now) / 1000;
  return left < 0 ? t("overdue by {value}", { value: duration(-left) }) : t("due in {left}", { left: duration(left) });
}

/** Of whom a second opinion is asked. */
export function askedOf(of: string): string {
  return of.startsWith("role:") ? t("anybody with the role {n}", { n: words(of.slice("role:".length)) }) : of;
}

/** Whether somebody may still undo the last verdict on a case. */
export function mayUndo(of: Case, me: string, now = Date.now()): boolean {
  return of.undo_by === me && of.undo_until !== null && new Date(of.undo_until).getTime() > now;
}

/** One line of a case's history. */
export function lineInWords(line: Line): string {
  const { details } = line;
  const said = (name: string) => (typeof details[name] === "string" ? String(details[name]) : undefined);
  switch (line.action) {
    case "open":
      return t("opened in {queue}, decided {decision}", {
        queue: said("queue") ?? t("its queue"),
        decision: words(said("decision")?.toLowerCase() ?? "–"),
      });
    case "take":
      return t("took it");
    case "release":
      return t("gave it back");
    case "note":
      return t("wrote");
    case "escalate":
      return t("escalated from {value} to {value2}", { value: said("from"), value2: said("to") });
    case "verdict": {
      const reason = said("reason");
      const before = said("before");
      const verdict = verdictWord(said("verdict") ?? "–");
      const of = Array.isArray(details.transactions)
        ? t(" of {n}", { n: plural(details.transactions.length, "transaction") })
        : "";
      const first = said("first");
      const opinion = first
        ? t(" (first opinion, by {value}: {first})", { value: said("first_by"), first: verdictWord(first) })
        : "";
      const earlier = before ? t(" (before: {before})", { before: verdictWord(before) }) : "";
      return `${t("said {verdict}", { verdict })}${reason ? `, ${words(reason)}` : ""}${of}${earlier}${opinion}`;
    }
    case "undo":
      return t("took the verdict back");
    case "assign":
      return said("assignee") ? t("assigned it to {value}", { value: said("assignee") }) : t("removed the assignment");
    case "due":
      return said("due_at")
        ? t("set the due time to {value}", { value: moment(said("due_at") ?? "") })
        : t("removed the due time");
    case "priority":
      return t("set the priority to {value}", { value: said("priority") });
    case "tag":
      return t("set the tags to {tags}", {
        tags: Array.isArray(details.tags) && details.tags.length ? details.tags.join(", ") : t("none"),
      });
    case "opinion": {
      const first = said("verdict");
      return `${t("asked {of} for a second opinion", { of: askedOf(said("of") ?? "–") })}${first ? t(", and said {first}", { first: verdictWord(first) }) : ""}`;
    }
    case "withdraw_opinion":
      return t("withdrew the request for a second opinion");
    case "attach":
      return t("attached {value}", { value: said("name") });
    case "detach":
      return t("removed the attachment {value}", { value: said("name") });
    default:
      return words(line.action);
  }
}

/** What somebody wrote with it. */
export function noteOf(line: Line): string | undefined {
  const found = line.details.text ?? line.details.note;
  return typeof found === "string" ? found : undefined;
}

/** What a verdict over many did, or would do. */
export function sweepInWords(swept: Schemas["VerdictsAnswer"], verdict: string): string {
  const cases = plural(swept.count, "case");
  const what = swept.dry_run
    ? t("{cases} will be marked {verdict}, {amounts} in all", {
        cases,
        verdict: verdictWord(verdict),
        amounts: sums(swept.amounts),
      })
    : t("{cases} marked {verdict}, {amounts} in all", {
        cases,
        verdict: verdictWord(verdict),
        amounts: sums(swept.amounts),
      });
  const left = swept.skipped.length
    ? t("; {n} left alone: {skipped}", { n: swept.skipped.length, skipped: skippedInWords(swept.skipped) })
    : "";
  return `${what}${left}.${swept.more ? t(" More than 1,000 are meant: the rest stays for the next verdict.") : ""}`;
}

/** Why cases are left alone, each reason once. */
export function skippedInWords(skipped: readonly Schemas["Skipped"][]): string {
  const counted = new Map<string, number>();
  for (const each of skipped) counted.set(each.why, (counted.get(each.why) ?? 0) + 1);
  return [...counted].map(([why, n]) => (n > 1 ? `${n} ${why}` : why)).join(", ");
}
