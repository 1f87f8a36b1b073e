import { TrendingDown, TrendingUp } from "lucide-react";
import { t } from "~/words/language";
import { consequences } from "./consequences";
import type { Tried } from "./draft";

/** What a rule would change: in red what it lowers, in amber what it raises. */
export function Consequences({ tried }: { tried: Tried }) {
  const { lowered, raised } = consequences(tried);
  if (lowered === null && raised === null)
    return <p className="text-soft">{t("Changes no decision of the newest {days} days.", { days: tried.days })}</p>;
  return (
    <div className="flex flex-col gap-2 font-medium">
      {lowered && (
        <p role="alert" className="flex items-center gap-2 rounded-md bg-block-tint px-3 py-2 text-block">
          <TrendingDown aria-hidden size={18} className="shrink-0" /> {lowered}
        </p>
      )}
      {raised && (
        <p className="flex items-center gap-2 rounded-md bg-review-tint px-3 py-2 text-review">
          <TrendingUp aria-hidden size={18} className="shrink-0" /> {raised}
        </p>
      )}
    </div>
  );
}
