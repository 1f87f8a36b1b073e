import { Link } from "@tanstack/react-router";
import type { Decision } from "~/live/feed";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { words } from "~/words/numbers";

const REASONS = 3;

/** A decision that stays in its place, with its reasons in words; it leads to the whole explanation. */
export function ExplainedBlock({ decision, title }: { decision: Decision | null; title: string }) {
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
        <p className="pt-2 text-soft">It appears here as soon as there is one.</p>
      )}
    </div>
  );
}

function Explained({ of: decision }: { of: Decision }) {
  const reasons = decision.explanation.reasons;
  return (
    <>
      <p className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1">
        <Outcome of={decision.decision} />
        <Link
          to="/transactions/$id"
          params={{ id: decision.transaction_id }}
          search={{ detector: decision.detector }}
          className="min-w-0 truncate font-medium text-accent hover:underline"
        >
          {decision.transaction_id}
        </Link>
        {decision.fraud_probability !== null && (
          <span className="text-soft">score {decision.fraud_probability.toFixed(3)}</span>
        )}
      </p>
      <ul className="mt-1 list-disc pl-5">
        {reasons.slice(0, REASONS).map((reason) => (
          <li key={`${reason.code} ${reason.text}`}>{reason.text}</li>
        ))}
        {reasons.length === 0 && <li>{words(decision.explanation.decision_reason)}</li>}
      </ul>
    </>
  );
}
