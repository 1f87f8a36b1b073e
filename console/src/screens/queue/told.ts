/** Cases, refusals and histories in words. */

import { ApiProblem, type Schemas } from "~/api/client";
import { told } from "~/ui/Asked";
import { plural, sums, verdictWord, words } from "~/words/numbers";
import { duration, moment } from "~/words/times";
import type { Case } from "./outbox";

type Line = Schemas["LineForm"];

/** Why something was refused. Where somebody else was first, who it was and what they did, as the case says it now. */
export function refusal(error: unknown, now: Case | undefined, me: string): string {
  if (!(error instanceof ApiProblem) || error.status !== 409 || now === undefined) return told(error);
  if (now.state === "decided") return `${now.decided_by} decided this case before: ${verdictInWords(now)}.`;
  if (now.state === "taken" && now.owner !== me) return `${now.owner} holds this case until ${until(now)}.`;
  return told(error);
}

/** A verdict with its reason. */
export function verdictInWords(of: Case): string {
  if (of.verdict === null) return "no verdict";
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
  return left < 0 ? `overdue by ${duration(-left)}` : `due in ${duration(left)}`;
}

/** Of whom a second opinion is asked. */
export function askedOf(of: string): string {
  return of.startsWith("role:") ? `anybody with the role ${words(of.slice("role:".length))}` : of;
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
      return `opened in ${said("queue") ?? "its queue"}, decided ${said("decision")?.toLowerCase() ?? "–"}`;
    case "take":
      return "took it";
    case "release":
      return "gave it back";
    case "note":
      return "wrote";
    case "escalate":
      return `escalated from ${said("from")} to ${said("to")}`;
    case "verdict": {
      const reason = said("reason");
      const before = said("before");
      const verdict = verdictWord(said("verdict") ?? "–");
      const of = Array.isArray(details.transactions) ? ` of ${plural(details.transactions.length, "transaction")}` : "";
      const first = said("first");
      const opinion = first ? ` (first opinion, by ${said("first_by")}: ${verdictWord(first)})` : "";
      const earlier = before ? ` (before: ${verdictWord(before)})` : "";
      return `said ${verdict}${reason ? `, ${words(reason)}` : ""}${of}${earlier}${opinion}`;
    }
    case "undo":
      return "took the verdict back";
    case "assign":
      return said("assignee") ? `assigned it to ${said("assignee")}` : "removed the assignment";
    case "due":
      return said("due_at") ? `set the due time to ${moment(said("due_at") ?? "")}` : "removed the due time";
    case "priority":
      return `set the priority to ${said("priority")}`;
    case "tag":
      return `set the tags to ${Array.isArray(details.tags) && details.tags.length ? details.tags.join(", ") : "none"}`;
    case "opinion": {
      const first = said("verdict");
      return `asked ${askedOf(said("of") ?? "–")} for a second opinion${first ? `, and said ${verdictWord(first)}` : ""}`;
    }
    case "withdraw_opinion":
      return "withdrew the request for a second opinion";
    case "attach":
      return `attached ${said("name")}`;
    case "detach":
      return `removed the attachment ${said("name")}`;
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
    ? `${cases} will be marked ${verdictWord(verdict)}, ${sums(swept.amounts)} in all`
    : `${cases} marked ${verdictWord(verdict)}, ${sums(swept.amounts)} in all`;
  const left = swept.skipped.length ? `; ${swept.skipped.length} left alone: ${skippedInWords(swept.skipped)}` : "";
  return `${what}${left}.${swept.more ? " More than 1,000 are meant: the rest stays for the next verdict." : ""}`;
}

/** Why cases are left alone, each reason once. */
export function skippedInWords(skipped: readonly Schemas["Skipped"][]): string {
  const counted = new Map<string, number>();
  for (const each of skipped) counted.set(each.why, (counted.get(each.why) ?? 0) + 1);
  return [...counted].map(([why, n]) => (n > 1 ? `${n} ${why}` : why)).join(", ");
}
