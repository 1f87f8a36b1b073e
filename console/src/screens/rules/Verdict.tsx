import { Check, CircleAlert } from "lucide-react";
import { t } from "~/words/language";
import type { Tested } from "./draft";
import type { Place } from "./problem";
import { Warnings } from "./Warnings";

interface Props {
  id: string;
  when: string;
  problem: Place | null;
  tested: Tested | undefined;
  /** What is said is about what stands there now. */
  settled: boolean;
}

/** What is to be said of the condition as it stands: what is wrong with it, what is probably not meant, or that it can be read. */
export function Verdict({ id, when, problem, tested, settled }: Props) {
  return (
    <div id={id} aria-live="polite" className="flex min-h-11 flex-col gap-1 text-xs">
      {when.trim() === "" ? (
        <p className="text-soft">
          {t("A condition over fields, features and")} <code>score</code>
          {t("; Ctrl-Space offers what fits.")}
        </p>
      ) : problem ? (
        <p className="flex items-start gap-1.5 text-block">
          <CircleAlert aria-hidden size={14} className="mt-0.5 shrink-0" />
          <span className="min-w-0 break-words">
            {problem.message}
            {problem.from > 0 && t(" (character {value})", { value: problem.from + 1 })}
          </span>
        </p>
      ) : tested && settled ? (
        <>
          <p className="flex items-start gap-1.5 text-approve">
            <Check aria-hidden size={14} className="mt-0.5 shrink-0" />
            <span className="min-w-0 break-words">
              {t("Valid. Uses")} {tested.reads.join(", ") || "nothing"}
              {tested.lists.length > 0 && t(" and the lists {value}", { value: tested.lists.join(", ") })}.
            </span>
          </p>
          <Warnings findings={tested.warnings} />
        </>
      ) : (
        <p className="text-soft">{t("Looking at it …")}</p>
      )}
    </div>
  );
}
