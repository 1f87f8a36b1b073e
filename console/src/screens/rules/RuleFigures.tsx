import { getRouteApi, Link } from "@tanstack/react-router";
import { useRuleInsights } from "~/api/insights";
import { RANGES } from "~/app/search";
import { Choice } from "~/ui/Choice";
import { Figure, Figures } from "~/ui/Figure";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, percent } from "~/words/numbers";
import type { Rule } from "./books";
import {
  estimate,
  insightOf,
  insightOfCandidate,
  isYoung,
  type Known,
  maturity,
  precision,
  type RuleInsight,
} from "./insight";

const route = getRouteApi("/rules/$detectorName/$rule");

/** What the rule did within the range, and beside it what its candidate did or would have done. */
export function RuleFigures({ detector, rule }: { detector: string; rule: Rule }) {
  const { range = "24h" } = route.useSearch();
  const navigate = route.useNavigate();
  const { data } = useRuleInsights({ range, detector });
  const acts = insightOf(rule, data?.rules);
  const tried = rule.active ? insightOfCandidate(rule, data?.rules) : null;
  return (
    <Panel
      title={t("Performance")}
      about={t("Of the decisions within {range}; labels as they are known by now.", { range })}
      actions={
        <Choice
          label={t("Range")}
          options={RANGES.map((value) => ({ value, name: value }))}
          value={range}
          onChange={(next) => void navigate({ search: (kept) => ({ ...kept, range: next }) })}
        />
      }
    >
      <Row
        detector={detector}
        name={rule.active ? t("version {version}", { version: rule.active.version }) : rule.name}
        insight={acts}
      />
      {tried && rule.candidate && (
        <div className="mt-3">
          <Row
            detector={detector}
            name={t("version {version}, {state}", { version: rule.candidate.version, state: rule.candidate.state })}
            insight={tried}
          />
        </div>
      )}
    </Panel>
  );
}

function aboutPrecision(known: Known): string {
  const { precision_low: low, precision_high: high } = known;
  const parts =
    known.precision === null
      ? [maturity(known)]
      : [t("{low} to {high}", { low: percent(low), high: percent(high) }), maturity(known)];
  if (known.precision === null && known.known > 0) parts.push(t("too few for a rate"));
  else if (known.precision !== null && isYoung(known)) parts.push(t("labels incomplete"));
  return [...parts, estimate(known)].filter(Boolean).join(" · ");
}

function Row({ detector, name, insight }: { detector: string; name: string; insight: RuleInsight | null }) {
  const labels = insight?.labels;
  const mix = insight?.outcomes;
  return (
    <Figures label={t("How {name} fares", { name })}>
      <Figure
        hero
        className="col-span-2 sm:col-span-3 lg:col-span-2"
        name={t("Precision")}
        value={labels && labels.precision !== null ? percent(labels.precision) : precision(labels)}
        about={labels && aboutPrecision(labels)}
      />
      <Figure
        name={t("Fires of {name}", { name })}
        value={
          insight ? (
            <Link
              to="/transactions"
              search={(kept) => ({ ...kept, detector, rule: insight.name })}
              className="text-accent hover:underline"
            >
              {count(insight.fires)}
            </Link>
          ) : (
            count(null)
          )
        }
        about={insight ? <Fired of={insight} /> : t("not counted yet")}
      />
      <Figure name={t("Unique hits")} value={count(insight?.only)} about={t("no other rule fired")} />
      <Figure name={t("Known fraud")} value={count(labels?.fraud)} about={t("labelled by now")} />
      <Figure name={t("Known legitimate")} value={count(labels?.good)} about={t("false positives")} />
      <Figure name={t("Not yet known")} value={count(labels?.unknown)} about={t("labels may still come")} />
      <Figure
        name={t("Not approved")}
        value={count(mix && mix.block + mix.review + mix.challenge)}
        about={
          mix &&
          t("block {block}, review {review}, challenge {challenge}", {
            block: count(mix.block),
            review: count(mix.review),
            challenge: count(mix.challenge),
          })
        }
      />
    </Figures>
  );
}

/** How often it fired, and when last. */
function Fired({ of: { share, last_fired_at: last } }: { of: RuleInsight }) {
  return (
    <>
      {t("{share} of decisions", { share: percent(share) })}
      {last !== null && (
        <>
          {t(", last")} <Time at={last} form="ago" />
        </>
      )}
    </>
  );
}
