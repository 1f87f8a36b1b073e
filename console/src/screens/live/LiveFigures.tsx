import { Link } from "@tanstack/react-router";
import { type Asking, type Summary, useSummary } from "~/api/insights";
import { Failed } from "~/ui/Asked";
import { Figure, Figures } from "~/ui/Figure";
import { t } from "~/words/language";
import { count, money, percent, perSecond, plural, rate, sums, UNKNOWN } from "~/words/numbers";
import { duration } from "~/words/times";

/** What was decided within the range, what is known of it, and what waits for people. The places are there before the figures. */
export function LiveFigures({ asking }: { asking: Asking }) {
  const { data, isError, error, refetch } = useSummary(asking);
  if (isError && !data) return <Failed error={error} again={() => void refetch()} />;
  return (
    <Figures label={t("What was decided")}>
      <Figure
        hero
        className="col-span-2 sm:col-span-3 lg:col-span-2 lg:row-span-2"
        name={t("Fraud prevented")}
        value={prevented(data)}
        about={blocks(data)}
      />
      <Figure
        name={t("Transactions processed")}
        value={<Listed>{count(data?.processed)}</Listed>}
        about={since(data)}
      />
      <Figure name={t("Decisions a second")} value={perSecond(data?.per_second)} about={t("within the last 10 s")} />
      <Figure name={t("Value at risk, in open reviews")} value={atRisk(data)} about={<Waiting of={data} />} />
      <Figure name={t("Fraud rate")} value={fraudRate(data)} about={known(data)} />
      <Figure
        className="col-span-2 sm:col-span-1 lg:col-span-2"
        name={t("Approved")}
        value={<Listed decision="approve">{count(data?.outcomes.approve)}</Listed>}
        about={share(data, "approve")}
      />
      <Figure
        name={t("Held for review")}
        tone={data?.outcomes.review ? "text-review" : ""}
        value={<Listed decision="review">{count(data?.outcomes.review)}</Listed>}
        about={share(data, "review")}
      />
      <Figure
        name={t("Blocked")}
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
  return young ? t("last {n}", { n: length }) : t("in {n}", { n: length });
}

function known(data: Summary | undefined): string | string[] {
  if (!data) return UNKNOWN;
  const { fraud, known, fraud_rate, fraud_rate_low, fraud_rate_high, complete } = data.labels;
  if (known === 0) return complete ? t("no outcomes known yet") : t("labels are being read");
  const counts = t("{fraud} of {known} known outcomes", { fraud: count(fraud), known: count(known) });
  if (fraud_rate === null) return [counts, t("too few for a rate")];
  return [
    counts,
    t("{fraud_rate_low} to {fraud_rate_high}", {
      fraud_rate_low: percent(fraud_rate_low),
      fraud_rate_high: percent(fraud_rate_high),
    }),
  ];
}

function worth(some: { count: number; amount: number | null }, currency: string | null): string {
  return some.amount === null ? plural(some.count, "transaction") : money(some.amount, currency);
}

/** A rate of known outcomes; below 30 of these the counts in words. */
function fraudRate(data: Summary | undefined): string {
  if (!data) return UNKNOWN;
  const { fraud, known, fraud_rate } = data.labels;
  return fraud_rate === null
    ? known
      ? t("{fraud} of {known}", { fraud: count(fraud), known: count(known) })
      : UNKNOWN
    : percent(fraud_rate);
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
    return [t("Nothing was blocked in this time."), ...Array<string>(4).fill("\u00a0")];
  }
  return [
    t("{n} blocks known to be fraud, {n2} legitimate", {
      n: count(prevented.known.count),
      n2: count(prevented.mistaken.count),
    }),
    precision.value === null
      ? t("too few for a precision")
      : t("precision {precision}", { precision: rate(precision) }),
    `${t("{n} unknown", { n: count(unknown.count) })}${unknown.amount === null ? "" : `: ${money(unknown.amount, currency)}`}`,
    t("estimated by scores, of all blocks:"),
    estimate ? estimated(estimate, currency) : UNKNOWN,
  ];
}

function estimated(found: NonNullable<Summary["blocks"]["estimate"]>, currency: string | null): string {
  if (found.amount !== null) {
    return t("{amount} ({amount_low} to {amount_high})", {
      amount: money(found.amount, currency),
      amount_low: money(found.amount_low, currency),
      amount_high: money(found.amount_high, currency),
    });
  }
  return t("{value} ({value2} to {value3}) frauds", {
    value: found.count.toFixed(1),
    value2: found.count_low.toFixed(1),
    value3: found.count_high.toFixed(1),
  });
}

function share(data: Summary | undefined, outcome: "approve" | "review" | "block"): string {
  if (!data) return UNKNOWN;
  const part = data.processed > 0 ? percent(data.outcomes[outcome] / data.processed) : UNKNOWN;
  const parts = [part];
  if (data.amounts) parts.push(money(data.amounts[outcome], data.currency));
  if (outcome === "review" && data.outcomes.challenge > 0)
    parts.push(t("{challenge} challenged", { challenge: count(data.outcomes.challenge) }));
  return parts.join(" · ");
}

function atRisk(data: Summary | undefined): string {
  return data?.at_risk?.amounts.length ? sums(data.at_risk.amounts) : UNKNOWN;
}

function Waiting({ of: data }: { of: Summary | undefined }) {
  if (!data) return UNKNOWN;
  if (!data.at_risk) return t("no cases are kept here");
  if (data.at_risk.cases === 0) return t("no review is open");
  return (
    <Link to="/queue" className="underline decoration-line underline-offset-2 hover:text-ink">
      {t("{cases}, the oldest for {oldest_age_s}", {
        cases: plural(data.at_risk.cases, "review"),
        oldest_age_s: duration(data.at_risk.oldest_age_s),
      })}
    </Link>
  );
}
