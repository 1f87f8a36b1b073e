import { getRouteApi, Link } from "@tanstack/react-router";
import { useRuleInsights } from "~/api/insights";
import { RANGES } from "~/app/search";
import { Choice } from "~/ui/Choice";
import { Figure, Figures } from "~/ui/Figure";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
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
      title="Performance"
      about={`Of the decisions within ${range}; labels as they are known by now.`}
      actions={
        <Choice
          label="Range"
          options={RANGES.map((value) => ({ value, name: value }))}
          value={range}
          onChange={(next) => void navigate({ search: (kept) => ({ ...kept, range: next }) })}
        />
      }
    >
      <Row detector={detector} name={rule.active ? `version ${rule.active.version}` : rule.name} insight={acts} />
      {tried && rule.candidate && (
        <div className="mt-3">
          <Row
            detector={detector}
            name={`version ${rule.candidate.version}, ${rule.candidate.state}`}
            insight={tried}
          />
        </div>
      )}
    </Panel>
  );
}

function aboutPrecision(known: Known): string {
  const { precision_low: low, precision_high: high } = known;
  const parts = known.precision === null ? [maturity(known)] : [`${percent(low)} to ${percent(high)}`, maturity(known)];
  if (known.precision === null && known.known > 0) parts.push("too few for a rate");
  else if (known.precision !== null && isYoung(known)) parts.push("labels incomplete");
  return [...parts, estimate(known)].filter(Boolean).join(" · ");
}

function Row({ detector, name, insight }: { detector: string; name: string; insight: RuleInsight | null }) {
  const labels = insight?.labels;
  const mix = insight?.outcomes;
  return (
    <Figures label={`How ${name} fares`}>
      <Figure
        hero
        className="col-span-2 sm:col-span-3 lg:col-span-2"
        name="Precision"
        value={labels && labels.precision !== null ? percent(labels.precision) : precision(labels)}
        about={labels && aboutPrecision(labels)}
      />
      <Figure
        name={`Fires of ${name}`}
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
        about={insight ? <Fired of={insight} /> : "not counted yet"}
      />
      <Figure name="Unique hits" value={count(insight?.only)} about="no other rule fired" />
      <Figure name="Known fraud" value={count(labels?.fraud)} about="labelled by now" />
      <Figure name="Known legitimate" value={count(labels?.good)} about="false positives" />
      <Figure name="Not yet known" value={count(labels?.unknown)} about="labels may still come" />
      <Figure
        name="Not approved"
        value={count(mix && mix.block + mix.review + mix.challenge)}
        about={mix && `block ${count(mix.block)}, review ${count(mix.review)}, challenge ${count(mix.challenge)}`}
      />
    </Figures>
  );
}

/** How often it fired, and when last. */
function Fired({ of: { share, last_fired_at: last } }: { of: RuleInsight }) {
  return (
    <>
      {percent(share)} of decisions
      {last !== null && (
        <>
          , last <Time at={last} form="ago" />
        </>
      )}
    </>
  );
}
