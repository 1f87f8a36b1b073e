import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { useWork as useChange } from "~/api/work";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { ExportCsv } from "~/ui/ExportCsv";
import { Identity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { money, percent, plural, verdictWord, words } from "~/words/numbers";
import { judge, keep } from "./cases";
import type { Case, Verdict } from "./outbox";

type Member = Schemas["MemberForm"];

/** The transactions of a case, each with its own verdict where it has one; nothing for a case of one. */
export function Members({ of, members, mayDecide }: { of: Case; members: readonly Member[]; mayDecide: boolean }) {
  const change = useChange();
  if (members.length < 2) return null;
  const say = (member: Member, verdict: Verdict) =>
    change.mutate(async () => {
      keep(await judge(of.id, member.transaction_id, verdict, of.state === "decided" ? of.version : undefined));
      return t("{transaction_id} marked {verdict}.", {
        transaction_id: member.transaction_id,
        verdict: verdictWord(verdict),
      });
    });
  return (
    <section aria-label={t("Transactions of this case")} className="flex flex-col gap-1">
      <h3 className="font-semibold">{plural(members.length, "transaction")}</h3>
      <p className="text-soft text-xs">
        {t("A verdict on the case counts for every transaction without a separate verdict.")}
      </p>
      <ol className="flex max-h-96 flex-col overflow-y-auto rounded-md border">
        {members.map((member) => (
          <li key={member.transaction_id} className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b px-3 py-1.5">
            <span className="flex min-w-0 flex-1 basis-56 flex-col">
              <span className="flex flex-wrap items-center gap-2">
                <Link
                  to="/transactions/$id"
                  params={{ id: member.transaction_id }}
                  className="figure font-semibold text-accent underline"
                  aria-label={t("{amount}, transaction {transaction_id}", {
                    amount: money(member.amount, member.currency),
                    transaction_id: member.transaction_id,
                  })}
                >
                  {money(member.amount, member.currency)}
                </Link>
                <Outcome of={member.decision} />
                <span className="figure text-soft">{percent(member.fraud_probability)}</span>
                <span className="text-soft text-xs">
                  <Time at={member.event_time} />
                </span>
              </span>
              <span className="flex">
                <Identity of={{ ...member, detector: of.detector }} />
              </span>
              <span className="truncate text-soft text-xs">{member.reason}</span>
            </span>
            {member.verdict && (
              <Badge tone={member.verdict === "fraud" ? "bad" : member.verdict === "good" ? "good" : "plain"}>
                {verdictWord(member.verdict)}
                {member.reason_code && `, ${words(member.reason_code)}`}
              </Badge>
            )}
            {mayDecide && (
              <span className="flex gap-1">
                <Button
                  look="quiet"
                  busy={change.isPending}
                  aria-label={`Legitimate: ${member.transaction_id}`}
                  onClick={() => say(member, "good")}
                >
                  {t("Legitimate")}
                </Button>
                <Button
                  look="quiet"
                  busy={change.isPending}
                  aria-label={`Fraud: ${member.transaction_id}`}
                  onClick={() => say(member, "fraud")}
                >
                  {t("Fraud")}
                </Button>
              </span>
            )}
          </li>
        ))}
      </ol>
      <p className="text-right">
        <ExportCsv label={t("Transactions of this case")} rows={members} />
      </p>
    </section>
  );
}
