import { Check, CircleAlert } from "lucide-react";
import type { Schemas } from "~/api/client";
import type { Place } from "~/screens/rules/problem";
import { t } from "~/words/language";

interface Props {
  id: string;
  begun: boolean;
  /** What is said is about what stands there now. */
  settled: boolean;
  problem: Place | null;
  tested: Schemas["FeatureTested"] | undefined;
}

/** What is to be said of the feature as it stands. */
export function FeatureVerdict({ id, begun, settled, problem, tested }: Props) {
  return (
    <div id={id} aria-live="polite" className="min-h-6 text-xs">
      {!begun ? (
        <p className="text-soft">{t("A name, and what it is computed of.")}</p>
      ) : problem ? (
        <p className="flex items-start gap-1.5 text-block">
          <CircleAlert aria-hidden size={14} className="mt-0.5 shrink-0" />
          <span className="min-w-0 break-words">{problem.message}</span>
        </p>
      ) : settled && tested ? (
        <p className="flex items-start gap-1.5 text-approve">
          <Check aria-hidden size={14} className="mt-0.5 shrink-0" />
          <span className="min-w-0 break-words">
            {t("It can be computed: a {type}, from", { type: tested.type })}{" "}
            {tested.reads.join(", ") || t("the events alone")}.
          </span>
        </p>
      ) : (
        <p className="text-soft">{t("Looking at it …")}</p>
      )}
    </div>
  );
}
