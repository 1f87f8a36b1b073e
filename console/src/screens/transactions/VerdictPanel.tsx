import { Link } from "@tanstack/react-router";
import { Check, Octagon } from "lucide-react";
import { type Context, useSaying } from "~/api/transactions";
import { useMay } from "~/session/session";
import { told } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { sayDone } from "~/ui/said";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { labelWord, verdictWord, words } from "~/words/numbers";

/** What is known of it, and who said so; who may, says what is true. */
export function VerdictPanel({ of: context }: { of: Context }) {
  const { labels, case: own } = context;
  const may = useMay(context.detector);
  const saying = useSaying(context.transaction_id, context.detector);
  const say = async (fraud: boolean) => {
    try {
      await saying.mutateAsync({ fraud, caseId: own?.id ?? null, version: own?.version ?? null });
      sayDone(t("Labelled {label}: {id}", { label: labelWord(fraud), id: context.transaction_id }));
    } catch (error) {
      sayDone(told(error), { bad: true });
    }
  };
  return (
    <Panel
      title={t("Label and verdict")}
      actions={
        may("label") && (
          <>
            <Button busy={saying.isPending} onClick={() => void say(false)}>
              <Check aria-hidden size={14} /> {t("Mark as legitimate")}
            </Button>
            <Button look="danger" busy={saying.isPending} onClick={() => void say(true)}>
              <Octagon aria-hidden size={14} /> {t("Mark as fraud")}
            </Button>
          </>
        )
      }
    >
      <p className="flex min-h-6 flex-wrap items-center gap-2">
        {labels.counts ? (
          <>
            <Badge tone={labels.counts.fraud ? "bad" : "good"}>{labelWord(labels.counts.fraud)}</Badge>
            {t("{kind}, reported by {source}, known since", {
              kind: words(labels.counts.kind),
              source: labels.counts.source,
            })}{" "}
            <Time at={labels.counts.known_at} form="full" />
          </>
        ) : (
          <span className="text-soft">{t("Not labelled yet.")}</span>
        )}
      </p>
      {labels.history.length > 1 && (
        <ol aria-label={t("History of labels")} className="mt-2 text-soft text-xs">
          {labels.history.map((each) => (
            <li key={`${each.source} ${each.known_at} ${each.kind}`}>
              {labelWord(each.fraud)}: {words(each.kind)}, {each.source}, <Time at={each.known_at} form="full" />
            </li>
          ))}
        </ol>
      )}
      {own && (
        <p className="mt-2 text-soft text-xs">
          <Link to="/queue" search={{ case: own.id }} className="text-accent hover:underline">
            {t("Case")}
          </Link>{" "}
          {t("in {queue}: {state}", { queue: words(own.queue), state: own.state })}
          {own.verdict &&
            t(", verdict {verdict} by {decided_by}", { verdict: verdictWord(own.verdict), decided_by: own.decided_by })}
          {own.owner && t(", assigned to {owner}", { owner: own.owner })}
        </p>
      )}
    </Panel>
  );
}
