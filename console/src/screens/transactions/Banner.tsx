import type { ReactNode } from "react";
import type { Policy } from "~/api/detectors";
import type { Decision } from "~/api/transactions";
import { Badge } from "~/ui/Badge";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { ms, percent, words } from "~/words/numbers";
import { disagreement } from "./disagreement";
import { ScoreBar } from "./ScoreBar";

interface Props {
  decision: Decision;
  policy: Policy | undefined;
  children?: ReactNode;
}

/** What was decided, by which score against which thresholds, when, and whether all parts took part. */
export function Banner({ decision, policy, children }: Props) {
  const { degraded, answered } = decision;
  const { lowered, decision_reason } = decision.explanation;
  const otherwise = disagreement(decision.decision, decision_reason, decision.fraud_probability, policy);
  return (
    <section aria-label={t("Decision")} className="rounded-lg border bg-panel p-4">
      <div className="flex flex-wrap items-center gap-x-5 gap-y-3">
        <Outcome of={decision.decision} large />
        <div className="min-w-60 flex-1">
          <p className="break-words font-medium">{decidedBy(decision.explanation.decision_reason)}</p>
          {otherwise && (
            <p className="text-review">
              {t("The model disagrees: its score of {fraud_probability} alone means", {
                fraud_probability: percent(decision.fraud_probability),
              })}{" "}
              <Outcome of={otherwise} />
            </p>
          )}
          <p className="text-soft text-xs">
            {t("Decided")} <Time at={decision.decided_at} form="full" />{" "}
            {t("in {total}", { total: ms(decision.latency_ms.total) })}
          </p>
        </div>
        <div className="flex flex-wrap items-center gap-2">{children}</div>
      </div>
      {lowered && (
        <p className="mt-3">
          <Badge tone="warn">{t("lowered")}</Badge> {t("The rule that decided lowered what was asked for:")}{" "}
          <Outcome of={lowered} />
        </p>
      )}
      {degraded && (
        <p className="mt-3">
          <Badge tone="warn">{t("degraded")}</Badge>{" "}
          {t("{part}: {cause}. The policy for failures decided", { part: words(degraded.part), cause: degraded.cause })}
          {policy ? `: ${policy.on_failure}` : ""}.
        </p>
      )}
      {answered && (
        <p className="mt-3">
          <Badge tone="warn">{t("fallback sent")}</Badge> {t("The caller received")} <Outcome of={answered.decision} />{" "}
          <Time at={answered.answered_at} form="full" />: {answered.degraded}
        </p>
      )}
      <ScoreBar score={decision.fraud_probability} policy={policy} />
      <p className="flex flex-wrap gap-x-4 text-soft text-xs">
        {Object.entries(decision.scores).map(([member, score]) => (
          <span key={member}>
            {words(member)} {percent(score)}
          </span>
        ))}
        <span>{t("model {model_version}", { model_version: decision.model_version ?? "none" })}</span>
        <span>{t("rules {rules}", { rules: decision.versions.rules })}</span>
        <span>{t("detector {detector}", { detector: decision.versions.detector })}</span>
      </p>
    </section>
  );
}

/** Who decided: the model, the policy for failures, or a rule by its name. */
function decidedBy(reason: string): string {
  if (reason === "ml_probability") return t("Model score above the threshold");
  if (reason === "normal_behavior") return t("Model score below all thresholds, and no rule fired");
  if (reason === "degraded") return t("The policy for failures");
  return t("Rule {reason}", { reason });
}
