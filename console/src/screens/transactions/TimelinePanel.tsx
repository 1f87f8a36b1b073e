import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import type { Context } from "~/api/transactions";
import { Badge } from "~/ui/Badge";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { labelWord, money, percent, words } from "~/words/numbers";

type Timeline = NonNullable<Context["timeline"]>;

/** The transactions of the customer around this one, in the order in which they were decided. */
export function TimelinePanel({ of: timeline, context }: { of: Timeline; context: Context }) {
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    const own = list.current?.querySelector<HTMLElement>("[aria-current]");
    if (own && list.current) list.current.scrollTop = own.offsetTop - list.current.clientHeight / 2;
  }, []);
  const all = { detector: context.detector, entity: timeline.entity, key: timeline.key };
  return (
    <Panel
      title={t("Timeline of the {entity}", { entity: words(timeline.entity) })}
      about={timeline.earlier || timeline.later ? t("Around this one; there are more") : t("All that are recorded")}
      actions={
        <Link to="/transactions" search={all} className="text-accent hover:underline">
          {t("All of them")}
        </Link>
      }
    >
      <ol
        ref={list}
        aria-label={t("Timeline")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is reached by keyboard
        tabIndex={0}
        className="relative -mx-4 max-h-80 overflow-y-auto"
      >
        {timeline.transactions.map((each) => (
          <li
            key={each.transaction_id}
            aria-current={each.this ? "true" : undefined}
            className={cx(
              "flex flex-wrap items-center gap-x-4 gap-y-1 border-b px-4 py-2 last:border-0",
              each.this && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
            )}
          >
            <span className="w-36 shrink-0 text-soft text-xs">
              <Time at={each.event_time} />
            </span>
            <Outcome of={each.decision} />
            <span className="figure w-24 text-right font-medium">{money(each.amount, context.currency)}</span>
            <span className="figure w-14 text-right text-soft">{percent(each.fraud_probability)}</span>
            {each.fraud !== null && <Badge tone={each.fraud ? "bad" : "good"}>{labelWord(each.fraud)}</Badge>}
            <span className="min-w-0 flex-1 truncate text-right">
              {each.this ? (
                <span className="text-soft">{t("this one")}</span>
              ) : (
                <Link
                  to="/transactions/$id"
                  params={{ id: each.transaction_id }}
                  search={{ detector: context.detector }}
                  className="font-mono text-accent text-xs hover:underline"
                >
                  {each.transaction_id}
                </Link>
              )}
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
