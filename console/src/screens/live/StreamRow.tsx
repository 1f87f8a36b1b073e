import { memo } from "react";
import type { Summary } from "~/api/summaries";
import { Identity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { money, percent } from "~/words/numbers";
import { why } from "./stream";

interface Props {
  decision: Summary;
  onOpen: () => void;
}

/** One decision of the stream: who pays whom and how much, and why in a second line. Drawn once: a decision never changes. */
export const StreamRow = memo(
  function StreamRow({ decision, onOpen }: Props) {
    return (
      <li className="h-13 border-b last:border-0">
        <button
          type="button"
          onClick={onOpen}
          title={decision.transaction_id}
          className="flex h-full w-full cursor-pointer items-center gap-3 px-4 text-left -outline-offset-2 hover:bg-raised"
        >
          <span className="hidden w-16 shrink-0 text-soft text-xs sm:inline">
            <Time at={decision.decided_at} />
          </span>
          <span className="w-22 shrink-0">
            <Outcome of={decision.decision} />
          </span>
          <span className="figure w-24 shrink-0 truncate text-right font-semibold">
            {money(decision.amount, decision.currency)}
          </span>
          <span className="flex min-w-0 flex-1 flex-col">
            <Identity of={decision} />
            <span className="truncate text-soft text-xs">{why(decision)}</span>
          </span>
          <span className="figure hidden w-18 shrink-0 whitespace-nowrap text-right text-soft sm:inline">
            {percent(decision.fraud_probability)}
          </span>
        </button>
      </li>
    );
  },
  (before, now) => before.decision === now.decision,
);
