import { useState } from "react";
import type { Decision } from "~/api/transactions";
import { Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { value, words } from "~/words/numbers";

const FIRST = 10;
type Contribution = Decision["explanation"]["contributions"][number];

/** How far each feature moved the score, as bars to either side: right towards fraud, left away from it. */
export function ContributionsPanel({ decision }: { decision: Decision }) {
  const [everything, setEverything] = useState(false);
  const moved = decision.explanation.contributions;
  const shown = everything ? moved : moved.slice(0, FIRST);
  const base = decision.explanation.contribution_base;
  const largest = Math.max(0.0001, ...moved.map((each) => Math.abs(each.contribution)));
  return (
    <Panel
      title="What moved the score"
      about={`In log-odds, from the average transaction${base === undefined ? "" : ` (${base.toFixed(2)})`}: + towards fraud, − away from it`}
      actions={
        moved.length > FIRST && (
          <Button look="quiet" onClick={() => setEverything(!everything)} aria-expanded={everything}>
            {everything ? `The ${FIRST} largest` : `All ${moved.length}`}
          </Button>
        )
      }
    >
      {moved.length === 0 && <Empty title="No model scored it">Rules alone decided.</Empty>}
      <ul aria-label="Contributions" className="flex flex-col gap-1">
        {shown.map((each) => (
          <Bar key={each.feature} of={each} largest={largest} />
        ))}
      </ul>
    </Panel>
  );
}

function Bar({ of: each, largest }: { of: Contribution; largest: number }) {
  const towards = each.contribution >= 0;
  const width = `${(50 * Math.abs(each.contribution)) / largest}%`;
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_24%_3.2rem] sm:grid-cols-[minmax(0,1fr)_40%_3.6rem] items-center gap-3">
      <span className="min-w-0 truncate" title={`${each.feature} = ${value(each.value)}`}>
        {words(each.feature)} <span className="text-soft">{value(each.value)}</span>
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
