import { lazy, Suspense } from "react";
import type { Scope } from "~/screens/rules/completion";
import type { Place } from "~/screens/rules/problem";
import { Waiting } from "~/ui/Asked";
import { t } from "~/words/language";
import type { FeatureDraft } from "./body";

const ConditionEditor = lazy(() => import("~/screens/rules/ConditionEditor"));

interface Props {
  draft: FeatureDraft;
  change: (part: Partial<FeatureDraft>) => void;
  scope: Scope;
  problem: Place | null;
  describedBy: string;
}

/** An expression over fields and other features, in the language of rules; features ask no lists. */
export function DerivedField({ draft, change, scope, problem, describedBy }: Props) {
  return (
    <div className="flex flex-col gap-1">
      <span className="font-medium text-xs">{t("Expression")}</span>
      <Suspense fallback={<Waiting height={154} />}>
        <ConditionEditor
          label={t("Expression")}
          value={draft.derive}
          onChange={(derive) => change({ derive })}
          scope={scope}
          problem={problem}
          describedBy={describedBy}
          example="amount / avg_amount_7d"
        />
      </Suspense>
    </div>
  );
}
