import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Badge } from "~/ui/Badge";
import { LinkedIdentity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { labelWord, money, percent, verdictWord, words } from "~/words/numbers";
import type { Case, Said } from "./outbox";
import { Plan } from "./Plan";
import { askedOf, until, verdictInWords } from "./told";

/** What the case is about, in one glance, and who holds it or what was said of it. */
export function CaseHead({ of, me, refused }: { of: Case; me: string; refused?: Said }) {
  return (
    <header className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        <h2 className="figure font-semibold text-2xl">{money(of.amount, of.currency)}</h2>
        <Outcome of={of.decision} large />
        <Link
          to="/transactions/$id"
          params={{ id: of.transaction_id }}
          className="min-w-0 break-all text-accent underline"
        >
          {of.transaction_id}
        </Link>
      </div>
      <p className="font-medium text-base">
        <LinkedIdentity of={of} />
      </p>
      <dl className="flex flex-wrap gap-x-5 gap-y-1">
        <Fact name={t("Fraud probability")}>{percent(of.fraud_probability)}</Fact>
        <Fact name={t("Expected loss")}>{money(of.expected_loss, of.currency)}</Fact>
        <Fact name={t("Event time")}>
          <Time at={of.event_time} form="full" />
        </Fact>
        <Fact name={t("Waiting")}>
          <Time at={of.opened_at} form="since" />
        </Fact>
        <Fact name={t("Queue")}>{words(of.queue)}</Fact>
      </dl>
      <Plan of={of} />
      <p role="status" className="min-h-6">
        <Holding of={of} me={me} refused={refused} />
      </p>
    </header>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="text-soft text-xs">{name}</dt>
      <dd className="font-medium">{children}</dd>
    </div>
  );
}

function Holding({ of, me, refused }: { of: Case; me: string; refused?: Said }) {
  return (
    <span className="flex flex-wrap gap-2">
      {refused && <Badge tone="bad">{t("Not saved: {why}", { why: refused.why })}</Badge>}
      {of.state === "decided" && (
        <Badge tone={of.verdict === "fraud" ? "bad" : of.verdict === "good" ? "good" : "plain"}>
          {t("{decided_by} said {of}", { decided_by: of.decided_by, of: verdictInWords(of) })}
        </Badge>
      )}
      {of.state === "taken" && (
        <Badge tone={of.owner === me ? "info" : "warn"}>
          {of.owner === me ? t("Assigned to you") : t("Assigned to {owner}", { owner: of.owner })}{" "}
          {t("until {of}", { of: until(of) })}
        </Badge>
      )}
      {(of.state === "open" || of.state === "escalated") && !refused && <Badge>{t("Unassigned")}</Badge>}
      {of.opinion && of.state !== "decided" && (
        <Badge tone="info">
          {t("{by} asks {of} for a second opinion", { by: of.opinion.by, of: askedOf(of.opinion.of) })}
          {of.opinion.verdict && t(", and says {verdict}", { verdict: verdictWord(of.opinion.verdict) })}
        </Badge>
      )}
      {of.escalations > 0 && <Badge tone="warn">{t("Escalated")}</Badge>}
      {of.origin === "sample" && <Badge>{t("Random sample")}</Badge>}
      {of.known && (
        <Badge tone={of.known.fraud ? "bad" : "good"}>
          {t("Label: {fraud} ({source})", { fraud: labelWord(of.known.fraud), source: words(of.known.source) })}
        </Badge>
      )}
    </span>
  );
}
