import { Link } from "@tanstack/react-router";
import { type Asking, type Summary, useSummary } from "~/api/insights";
import { Failed } from "~/ui/Asked";
import { Figure, Figures } from "~/ui/Figure";
import { count, money, percent, perSecond, plural, rate, sums, UNKNOWN } from "~/words/numbers";
import { duration } from "~/words/times";

/** What was decided within the range, what is known of it, and what waits for people. The places are there before the figures. */
export function LiveFigures({ asking }: { asking: Asking }) {
  const { data, isError, error, refetch } = useSummary(asking);
  if (isError && !data) return <Failed error={error} again={() => void refetch()} />;
  return (
    <Figures label="What was decided">
      <Figure
        hero
        className="col-span-2 sm:col-span-3 lg:col-span-2 lg:row-span-2"
        name="Fraud prevented"
        value={prevented(data)}
        about={blocks(data)}
      />
      <Figure name="Transactions processed" value={<Listed>{count(data?.processed)}</Listed>} about={since(data)} />
      <Figure name="Decisions a second" value={perSecond(data?.per_second)} about="within the last 10 s" />
      <Figure name="Value at risk, in open reviews" value={atRisk(data)} about={<Waiting of={data} />} />
      <Figure name="Fraud rate" value={fraudRate(data)} about={known(data)} />
      <Figure
        className="col-span-2 sm:col-span-1 lg:col-span-2"
        name="Approved"
        value={<Listed decision="approve">{count(data?.outcomes.approve)}</Listed>}
        about={share(data, "approve")}
      />
      <Figure
        name="Held for review"
        tone={data?.outcomes.review ? "text-review" : ""}
        value={<Listed decision="review">{count(data?.outcomes.review)}</Listed>}
        about={share(data, "review")}
      />
      <Figure
        name="Blocked"
        tone={data?.outcomes.block ? "text-block" : ""}
        value={<Listed decision="block">{count(data?.outcomes.block)}</Listed>}
        about={share(data, "block")}
      />
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
  return young ? `last ${length}` : `in ${length}`;
}

function known(data: Summary | undefined): string | string[] {
  if (!data) return UNKNOWN;
  const { fraud, known, fraud_rate, fraud_rate_low, fraud_rate_high, complete } = data.labels;
  if (known === 0) return complete ? "no outcomes known yet" : "labels are being read";
  const counts = `${count(fraud)} of ${count(known)} known outcomes`;
  if (fraud_rate === null) return [counts, "too few for a rate"];
  return [counts, `${percent(fraud_rate_low)} to ${percent(fraud_rate_high)}`];
}

function worth(some: { count: number; amount: number | null }, currency: string | null): string {
  return some.amount === null ? plural(some.count, "transaction") : money(some.amount, currency);
}

/** A rate of known outcomes; below 30 of these the counts in words. */
function fraudRate(data: Summary | undefined): string {
  if (!data) return UNKNOWN;
  const { fraud, known, fraud_rate } = data.labels;
  return fraud_rate === null ? (known ? `${count(fraud)} of ${count(known)}` : UNKNOWN) : percent(fraud_rate);
}

/** Blocked, and known to be fraud. */
function prevented(data: Summary | undefined): string {
  return data ? worth(data.prevented.known, data.currency) : UNKNOWN;
}

/** Blocks by outcome, and what is estimated of all: always as many lines, so that nothing below moves while it is live. */
function blocks(data: Summary | undefined): string | string[] {
  if (!data) return UNKNOWN;
  const { prevented, blocks, currency } = data;
  const { precision, unknown, estimate } = blocks;
  if (prevented.known.count + prevented.mistaken.count + unknown.count === 0) {
    return ["Nothing was blocked in this time.", ...Array<string>(4).fill("\u00a0")];
  }
  return [
    `${count(prevented.known.count)} blocks known to be fraud, ${count(prevented.mistaken.count)} legitimate`,
    precision.value === null ? "too few for a precision" : `precision ${rate(precision)}`,
    `${count(unknown.count)} unknown${unknown.amount === null ? "" : `: ${money(unknown.amount, currency)}`}`,
    "estimated by scores, of all blocks:",
    estimate ? estimated(estimate, currency) : UNKNOWN,
  ];
}

function estimated(found: NonNullable<Summary["blocks"]["estimate"]>, currency: string | null): string {
  if (found.amount !== null) {
    return `${money(found.amount, currency)} (${money(found.amount_low, currency)} to ${money(found.amount_high, currency)})`;
  }
  return `${found.count.toFixed(1)} (${found.count_low.toFixed(1)} to ${found.count_high.toFixed(1)}) frauds`;
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
  return data?.at_risk?.amounts.length ? sums(data.at_risk.amounts) : UNKNOWN;
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
