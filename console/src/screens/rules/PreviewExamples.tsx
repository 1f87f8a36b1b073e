import { Link } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { money } from "~/words/numbers";
import type { Tried } from "./draft";
import { TRUTHS } from "./preview";

const SHOWN = 8;

/** Some of what it matches, the newest of each kind of truth; each opens beside this page, so that nothing written is lost. */
export function PreviewExamples({ tried, currency }: { tried: Tried; currency: string | null }) {
  if (tried.examples.length === 0) return null;
  return (
    <section aria-labelledby="preview-examples" className="min-w-0">
      <h3 id="preview-examples" className="mb-1 font-medium">
        {t("Examples")}
      </h3>
      <ul className="divide-y">
        {tried.examples.slice(0, SHOWN).map((each) => (
          <li key={each.transaction_id} className="flex flex-wrap items-center gap-x-3 gap-y-1 py-1.5">
            <Link
              to="/transactions/$id"
              params={{ id: each.transaction_id }}
              target="_blank"
              className="font-mono text-accent text-xs hover:underline"
            >
              {each.transaction_id}
            </Link>
            <span className="text-soft text-xs">
              <Time at={each.event_time} />
            </span>
            <span className="figure">{money(each.amount, currency)}</span>
            <span className="flex items-center gap-1">
              <Outcome of={each.decision} />
              {each.then !== each.decision && (
                <>
                  <ArrowRight aria-label={t("becomes")} size={14} className="text-soft" />
                  <Outcome of={each.then} />
                </>
              )}
            </span>
            <span className="ml-auto text-soft text-xs">{TRUTHS[each.truth as keyof typeof TRUTHS] ?? each.truth}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
