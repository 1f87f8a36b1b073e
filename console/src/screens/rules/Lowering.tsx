import { told } from "~/ui/Asked";
import type { RuleVersion } from "./books";
import { draftOf, useTried } from "./draft";
import { lowering } from "./preview";

const DAYS = 30;

/** Before a version acts: how many outcomes it would have lowered a day, of what was recorded. */
export function Lowering({ detector, version }: { detector: string; version: RuleVersion }) {
  const tried = useTried(detector, draftOf(version), DAYS, true, true);
  if (tried.isError) return <p className="text-soft">What it lowers cannot be counted: {told(tried.error)}</p>;
  if (!tried.data) return <p className="text-soft">Counting the outcomes that it lowers …</p>;
  const { days, lowered } = tried.data;
  if (!lowered) return <p className="text-soft">It lowers no outcome: none within the newest {days} days.</p>;
  return (
    <p role="alert" className="text-review">
      It lowers outcomes: within the newest {days} days, {lowering(tried.data)} than they were decided.
    </p>
  );
}
