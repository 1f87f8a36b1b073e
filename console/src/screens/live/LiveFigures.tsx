import { Link } from "@tanstack/react-router";
import { type Asking, type Summary, useSummary } from "~/api/insights";
import { Failed } from "~/ui/Asked";
import { Figure, Figures } from "~/ui/Figure";
import { count, money, percent, perSecond, plural, UNKNOWN } from "~/words/numbers";
import { duration } from "~/words/times";

/** What was decided within the range, what is known of it, and what waits for people. The places are there before the figures. */
export function LiveFigures({ asking }: { asking: Asking }) {
  const { data, isError, error, refetch } = useSummary(asking);
  if (isError && !data) return <Failed error={error} again={() => void refetch()} />;
  return (
    <Figures label="What was decided">
      <Figure name="Transactions processed" value={<Listed>{count(data?.processed)}</Listed>} about={since(data)} />
      <Figure name="Decisions a second" value={perSecond(data?.per_second)} about="within the last 10 s" />
      <Figure name="Fraud rate" value={percent(data?.labels.fraud_rate)} about={known(data)} />
      <Figure name="Fraud prevented" value={prevented(data)} about={presumed(data)} />
      <Figure
        name="Approved"
        tone="text-approve"
        value={<Listed decision="approve">{count(data?.outcomes.approve)}</Listed>}
        about={share(data, "approve")}
      />
      <Figure
        name="Held for review"
        tone="text-review"
        value={<Listed decision="review">{count(data?.outcomes.review)}</Listed>}
        about={share(data, "review")}
      />
      <Figure
        name="Blocked"
        tone="text-block"
        value={<Listed decision="block">{count(data?.outcomes.block)}</Listed>}
        about={share(data, "block")}
      />
      <Figure name="Value at risk, in open reviews" value={atRisk(data)} about={<Waiting of={data} />} />
    </Figures>
  );
}

function Listed({ decision, children }: { decision?: string; children: string }) {
  return (
    <Link to="/transactions" search={{ decision }} className="hover:underline">
      {children}
    </Link>
  );
}

function since(data: Summary | undefined): string {
  if (!data) return UNKNOWN;
  const young = new Date(data.counted_since) > new Date(data.from);
  const from = new Date(young ? data.counted_since : data.from);
  const length = duration((new Date(data.to).getTime() - from.getTime()) / 1000);
  return young ? `in ${length}, since counting began` : `in ${length}`;
}

function known(data: Summary | undefined): string {
  if (!data) return UNKNOWN;
  const { fraud, good, complete } = data.labels;
  if (fraud + good === 0) return complete ? "no labels known yet" : "labels are being read";
  return `${count(fraud)} of ${count(fraud + good)} with a label`;
}

function worth(some: { count: number; amount: number | null }, currency: string | null): string {
  return some.amount === null ? plural(some.count, "transaction") : money(some.amount, currency);
}

function prevented(data: Summary | undefined): string {
  return data ? worth(data.prevented.known, data.currency) : UNKNOWN;
}

function presumed(data: Summary | undefined): string {
  if (!data) return UNKNOWN;
  const { presumed: more, mistaken } = data.prevented;
  const parts = [`${worth(more, data.currency)} more presumed`];
  if (mistaken.count > 0) parts.push(`${plural(mistaken.count, "good one")} hit`);
  return parts.join(" · ");
}

function share(data: Summary | undefined, outcome: "approve" | "review" | "block"): string {
  if (!data) return UNKNOWN;
  const part = data.processed > 0 ? percent(data.outcomes[outcome] / data.processed) : UNKNOWN;
  const parts = [part];
  if (data.amounts) parts.push(money(data.amounts[outcome], data.currency));
  if (outcome === "review" && data.outcomes.challenge > 0) parts.push(`${count(data.outcomes.challenge)} challenged`);
  return parts.join(" · ");
}

function atRisk(data: Summary | undefined): string {
  if (!data?.at_risk) return UNKNOWN;
  return data.at_risk.amount === null ? UNKNOWN : money(data.at_risk.amount, data.currency);
}

function Waiting({ of: data }: { of: Summary | undefined }) {
  if (!data) return UNKNOWN;
  if (!data.at_risk) return "no cases are kept here";
  if (data.at_risk.cases === 0) return "no review is open";
  return (
    <Link to="/queue" className="underline decoration-line underline-offset-2 hover:text-ink">
      {plural(data.at_risk.cases, "review")}, the oldest for {duration(data.at_risk.oldest_age_s)}
    </Link>
  );
}
