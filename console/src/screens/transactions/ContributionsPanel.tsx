import { useState } from "react";
import type { ServedFeature } from "~/api/detectors";
import type { Decision } from "~/api/transactions";
import { Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { quantity, value, words } from "~/words/numbers";

const FIRST = 10;
interface Props {
  decision: Decision;
  /** The features of the detector by name. */
  features: ReadonlyMap<string, ServedFeature>;
}

type Contribution = Decision["explanation"]["contributions"][number];

/** How far each feature moved the score, as bars to either side: right towards fraud, left away from it. */
export function ContributionsPanel({ decision, features }: Props) {
  const [everything, setEverything] = useState(false);
  const moved = decision.explanation.contributions;
  const shown = everything ? moved : moved.slice(0, FIRST);
  const base = decision.explanation.contribution_base;
  const largest = Math.max(0.0001, ...moved.map((each) => Math.abs(each.contribution)));
  return (
    <Panel
      title={t("What moved the score")}
      about={t("In log-odds, from the average transaction{base}: + towards fraud, − away from it", {
        base: base === undefined ? "" : ` (${base.toFixed(2)})`,
      })}
      actions={
        moved.length > FIRST && (
          <Button look="quiet" onClick={() => setEverything(!everything)} aria-expanded={everything}>
            {everything ? t("The {value} largest", { value: FIRST }) : t("All {n}", { n: moved.length })}
          </Button>
        )
      }
    >
      {moved.length === 0 && <Empty title={t("No model scored it")}>{t("Rules alone decided.")}</Empty>}
      <ul aria-label={t("Contributions")} className="flex flex-col gap-1">
        {shown.map((each) => (
          <Bar key={each.feature} of={each} feature={features.get(each.feature)} largest={largest} />
        ))}
      </ul>
    </Panel>
  );
}

interface BarProps {
  of: Contribution;
  feature: ServedFeature | undefined;
  largest: number;
}

function Bar({ of: each, feature, largest }: BarProps) {
  const towards = each.contribution >= 0;
  const width = `${(50 * Math.abs(each.contribution)) / largest}%`;
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_24%_3.2rem] sm:grid-cols-[minmax(0,1fr)_40%_3.6rem] items-center gap-3">
      <span className="flex min-w-0 items-baseline gap-2" title={`${each.feature} = ${value(each.value)}`}>
        <span className="line-clamp-2 min-w-0">{feature?.label ?? words(each.feature)}</span>
        <span className="ml-auto shrink-0 text-soft">{quantity(each.value, feature?.unit)}</span>
      </span>
      <span aria-hidden className="relative h-3 rounded-sm bg-raised">
        <span className="absolute inset-y-0 left-1/2 border-l" />
        <span
          className={`absolute inset-y-0 rounded-sm ${towards ? "left-1/2 bg-block" : "right-1/2 bg-approve"}`}
          style={{ width }}
        />
      </span>
      <span className={`figure text-right ${towards ? "text-block" : "text-approve"}`}>
        {towards ? "+" : "−"}
        {Math.abs(each.contribution).toFixed(2)}
      </span>
    </li>
  );
}
