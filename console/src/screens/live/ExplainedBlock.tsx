import { Link } from "@tanstack/react-router";
import type { Summary } from "~/api/summaries";
import { useDecision } from "~/api/transactions";
import { Identity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { money, percent } from "~/words/numbers";
import { why } from "./stream";

const REASONS = 3;

/** A decision that stays in its place, with its reasons in words; it leads to the whole explanation. */
export function ExplainedBlock({ decision, title }: { decision: Summary | null; title: string }) {
  return (
    <div
      data-pinned={decision?.transaction_id}
      className="min-h-32 rounded-md border border-dashed bg-ground px-4 py-2.5"
    >
      <p className="flex flex-wrap items-center gap-x-3 text-soft text-xs">
        {title}
        {decision && <Time at={decision.decided_at} form="full" />}
      </p>
      {decision ? (
        <Explained of={decision} />
      ) : (
        <p className="pt-2 text-soft">{t("It appears here as soon as there is one.")}</p>
      )}
    </div>
  );
}

function Explained({ of: decision }: { of: Summary }) {
  const whole = useDecision(decision.transaction_id, decision.detector);
  const reasons = whole.data?.explanation.reasons.map((each) => each.text) ?? [why(decision)];
  return (
    <>
      <p className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1">
        <Outcome of={decision.decision} />
        <span className="figure font-semibold">{money(decision.amount, decision.currency)}</span>
        <Link
          to="/transactions/$id"
          params={{ id: decision.transaction_id }}
          search={{ detector: decision.detector }}
          className="flex min-w-0 text-accent hover:underline"
        >
          <Identity of={decision} />
        </Link>
        <span className="text-soft">
          {t("score {fraud_probability}", { fraud_probability: percent(decision.fraud_probability) })}
        </span>
      </p>
      <ul className="mt-1 list-disc pl-5">
        {reasons.slice(0, REASONS).map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
    </>
  );
}
