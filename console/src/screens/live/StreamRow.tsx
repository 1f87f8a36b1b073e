import { memo } from "react";
import type { Decision } from "~/live/feed";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { value } from "~/words/numbers";
import { why } from "./stream";

interface Props {
  decision: Decision;
  onOpen: () => void;
}

/** One decision of the stream, of one line; drawn once, since a decision never changes. */
export const StreamRow = memo(
  function StreamRow({ decision, onOpen }: Props) {
    const quiet = decision.decision === "APPROVE";
    return (
      <li className="h-9 border-b last:border-0">
        <button
          type="button"
          onClick={onOpen}
          title={`${decision.transaction_id}: ${why(decision)}`}
          className="flex h-full w-full cursor-pointer items-center gap-3 px-4 text-left -outline-offset-2 hover:bg-raised"
        >
          <span className="w-16 shrink-0 text-soft text-xs">
            <Time at={decision.decided_at} />
          </span>
          <span className="w-22 shrink-0">
            <Outcome of={decision.decision} />
          </span>
          <span className="figure w-12 shrink-0 text-right">{score(decision.fraud_probability)}</span>
          <span className={quiet ? "min-w-0 flex-1 truncate text-soft" : "min-w-0 flex-1 truncate"}>
            {why(decision)}
          </span>
          <span className="hidden w-44 shrink-0 truncate font-mono text-soft text-xs sm:inline">
            {decision.transaction_id}
          </span>
        </button>
      </li>
    );
  },
  (before, now) => before.decision === now.decision,
);

function score(probability: number | null): string {
  return probability === null ? value(null) : probability.toFixed(3);
}
