import type { ReactNode } from "react";
import type { Policy } from "~/api/detectors";
import type { Decision } from "~/api/transactions";
import { Badge } from "~/ui/Badge";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { ms, UNKNOWN, words } from "~/words/numbers";
import { ScoreBar } from "./ScoreBar";

interface Props {
  decision: Decision;
  policy: Policy | undefined;
  amount: string | null;
  children?: ReactNode;
}

/** What was decided, by which score against which thresholds, when, and whether all parts took part. */
export function Banner({ decision, policy, amount, children }: Props) {
  const { degraded, answered } = decision;
  const { lowered } = decision.explanation;
  return (
    <section aria-label="Decision" className="rounded-lg border bg-panel p-4">
      <div className="flex flex-wrap items-center gap-x-5 gap-y-3">
        <Outcome of={decision.decision} large />
        {amount && <span className="figure font-semibold text-xl">{amount}</span>}
        <div className="min-w-60 flex-1">
          <p className="break-words font-medium">{words(decision.explanation.decision_reason)}</p>
          <p className="text-soft text-xs">
            took place <Time at={decision.event_time} form="full" />, decided{" "}
            <Time at={decision.decided_at} form="full" /> in {ms(decision.latency_ms.total)}
          </p>
        </div>
        <div className="flex flex-wrap items-center gap-2">{children}</div>
      </div>
      {lowered && (
        <p className="mt-3">
          <Badge tone="warn">lowered</Badge> The rule that decided lowered what was asked for: <Outcome of={lowered} />
        </p>
      )}
      {degraded && (
        <p className="mt-3">
          <Badge tone="warn">degraded</Badge> {words(degraded.part)}: {degraded.cause}. The policy for failures decided
          {policy ? `: ${policy.on_failure}` : ""}.
        </p>
      )}
      {answered && (
        <p className="mt-3">
          <Badge tone="warn">answered otherwise</Badge> The caller was told <Outcome of={answered.decision} />{" "}
          <Time at={answered.answered_at} form="full" />: {answered.degraded}
        </p>
      )}
      <ScoreBar score={decision.fraud_probability} policy={policy} />
      <p className="flex flex-wrap gap-x-4 text-soft text-xs">
        {Object.entries(decision.scores).map(([member, score]) => (
          <span key={member}>
            {words(member)} {score === null ? UNKNOWN : score.toFixed(4)}
          </span>
        ))}
        <span>model {decision.model_version ?? "none"}</span>
        <span>rules {decision.versions.rules}</span>
        <span>detector {decision.versions.detector}</span>
      </p>
    </section>
  );
}
