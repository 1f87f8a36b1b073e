import { Badge } from "~/ui/Badge";
import { t } from "~/words/language";
import { plural, words } from "~/words/numbers";
import type { Case } from "./outbox";
import { dueInWords } from "./told";

const TONES = { low: "plain", normal: "plain", high: "warn", urgent: "bad" } as const;

/** What sets the case apart in its queue: how many transactions, who is to decide it until when, priority and tags. */
export function Plan({ of }: { of: Case }) {
  const due = of.state === "decided" ? undefined : dueInWords(of);
  const plain = of.transactions === 1 && of.priority === "normal" && !of.assignee && !due && of.tags.length === 0;
  if (plain) return null;
  return (
    <span className="flex flex-wrap gap-1">
      {of.transactions > 1 && <Badge tone="info">{plural(of.transactions, "transaction")}</Badge>}
      {of.priority !== "normal" && (
        <Badge tone={TONES[of.priority]}>{t("{priority} priority", { priority: words(of.priority) })}</Badge>
      )}
      {due && <Badge tone={due.startsWith("overdue") ? "bad" : "plain"}>{due}</Badge>}
      {of.assignee && of.state !== "decided" && <Badge>{t("for {assignee}", { assignee: of.assignee })}</Badge>}
      {of.tags.map((tag) => (
        <Badge key={tag}>#{tag}</Badge>
      ))}
    </span>
  );
}
