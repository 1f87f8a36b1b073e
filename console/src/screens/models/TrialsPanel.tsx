import { useMemo, useState } from "react";
import type { Schemas } from "~/api/client";
import { binOptions, outlines } from "~/charts/bars";
import { Legend } from "~/charts/Legend";
import { Plot } from "~/charts/Plot";
import { useCurrency } from "~/screens/rules/books";
import { Asked, Empty, Failed } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, money, ms, percent, rate, UNKNOWN } from "~/words/numbers";
import { table } from "./matrix";
import { type LiveTrial, type Models, useComparison, useTrials } from "./queries";

type Compared = Schemas["Compared"];

/** What is tried now: counts as they come, and the comparison on recorded events with its intervals. */
export function TrialsPanel({ name, models }: { name: string; models: Models }) {
  const trials = useTrials(name);
  return (
    <Asked
      of={trials}
      height={400}
      empty={(found) =>
        found.length === 0 && (
          <Panel>
            <Empty title={t("Nothing is tried now")}>
              {t("Under Versions, let one score in shadow or roll it out to a share.")}
            </Empty>
          </Panel>
        )
      }
    >
      {(found) =>
        found.map((trial) => <Trial key={trial.version ?? trial.trial} name={name} models={models} trial={trial} />)
      }
    </Asked>
  );
}

function Trial({ name, models, trial }: { name: string; models: Models; trial: LiveTrial }) {
  const started = models.running.find((each) => each.version === trial.version);
  const title = trial.version
    ? t("Model {version}", { version: trial.version })
    : t("Rule {trial}", { trial: trial.trial });
  return (
    <Panel
      title={title}
      about={
        <>
          {started?.state === "rollout"
            ? t("decides for {percent} % of {of}", { percent: started.percent, of: started.of })
            : "in shadow: decides nothing"}
          {t(", counted since")} <Time at={trial.since} />
        </>
      }
    >
      <dl className="mb-4 grid grid-cols-2 gap-3 md:grid-cols-4">
        <Fact name={t("Events judged by both")} value={count(trial.events)} />
        <Fact name={t("Decided the same")} value={percent(trial.agreement)} />
        <Fact name={t("Errors of the candidate")} value={count(trial.errors)} />
        <Fact name={t("Scoring, p99")} value={times(trial)} />
      </dl>
      <div className="grid grid-cols-1 gap-4 lg:grid-cols-2">
        <MatrixTable matrix={trial.matrix} />
        {trial.scores && <Scores scores={trial.scores} />}
      </div>
      {trial.version && <Comparison name={name} version={trial.version} />}
    </Panel>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt className="text-soft text-xs">{name}</dt>
      <dd className="font-semibold text-lg">{value}</dd>
    </div>
  );
}

function times(trial: LiveTrial): string {
  const { champion, candidate } = trial.latency_ms ?? {};
  return candidate ? t("{p99} (champion {p992})", { p99: ms(candidate.p99), p992: ms(champion?.p99) }) : UNKNOWN;
}

function MatrixTable({ matrix }: { matrix: LiveTrial["matrix"] }) {
  const { outcomes, rows } = table(matrix);
  if (rows.length === 0) return <p className="text-soft">{t("No event was judged by both yet.")}</p>;
  return (
    <div className="overflow-x-auto">
      <table className="w-full text-right">
        <caption className="pb-1 text-left text-soft text-xs">
          {t("Rows: the champion decided. Columns: the candidate.")}
        </caption>
        <thead>
          <tr>
            <td />
            {outcomes.map((outcome) => (
              <th key={outcome} scope="col" className="px-2 py-1">
                <Outcome of={outcome} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.champion}>
              <th scope="row" className="px-2 py-1 text-left">
                <Outcome of={row.champion} />
              </th>
              {row.cells.map((cell, n) => (
                <td
                  key={outcomes[n]}
                  className={`border px-2 py-1 ${cell.same ? "bg-raised" : cell.count ? "font-semibold text-review" : "text-soft"}`}
                >
                  {count(cell.count)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const BINS = 20;
const OUTLINES = [
  { name: "champion", colour: "soft", dashed: true },
  { name: "candidate", colour: "accent" },
] as const;
const SCORES = binOptions(
  { x: t("score, 0 to 1"), y: t("events (log scale)") },
  (places) => places.map((_, bin) => (bin % 4 === 0 || bin === BINS - 1 ? String(bin / BINS) : null)),
  OUTLINES,
);

/** How the scores of both are spread. */
function Scores({ scores }: { scores: NonNullable<LiveTrial["scores"]> }) {
  const data = useMemo(
    () => outlines(OUTLINES.map(({ name }) => scores[name] ?? Array<number>(BINS).fill(0))),
    [scores],
  );
  return (
    <figure className="min-w-0">
      <figcaption className="flex flex-wrap justify-between gap-2 pb-1 text-soft text-xs">
        {t("Events by score, in steps of {value}", { value: 1 / BINS })}
        <Legend of={OUTLINES} />
      </figcaption>
      <Plot
        label={OUTLINES.map(({ name }) => `${name}: ${(scores[name] ?? []).join(", ")}`).join("; ")}
        height={190}
        data={data}
        options={SCORES}
      />
    </figure>
  );
}

function Comparison({ name, version }: { name: string; version: string }) {
  const [wanted, setWanted] = useState(false);
  if (!wanted) {
    return (
      <div className="mt-4">
        <Button onClick={() => setWanted(true)}>{t("Compare on recorded events")}</Button>
      </div>
    );
  }
  return <Recorded name={name} version={version} />;
}

function Recorded({ name, version }: { name: string; version: string }) {
  const comparison = useComparison(name, version);
  const currency = useCurrency(name);
  if (comparison.isError && !comparison.data)
    return <Failed error={comparison.error} again={() => void comparison.refetch()} />;
  return (
    <Asked of={comparison} height={220}>
      {(found) => <Sides found={found} currency={currency} />}
    </Asked>
  );
}

const RATES = [
  ["block_rate", t("Blocked")],
  ["review_rate", t("To review")],
  ["approval_rate", t("Approved")],
  ["precision", t("Precision, of what is known")],
  ["recall", t("Known frauds stopped")],
] as const;

function Sides({ found, currency }: { found: Compared; currency: string | null }) {
  const { champion, candidate, truth } = found.total;
  return (
    <div className="mt-4 overflow-x-auto">
      <table className="w-full text-right">
        <caption className="pb-1 text-left text-soft text-xs">
          {t(
            "{events} recorded events; known: {fraud} fraud, {value} legitimate or never disputed, {value2} not known. Intervals of 95 %.",
            {
              events: count(found.total.events),
              fraud: count(truth.fraud),
              value: count(truth.good + truth.unobjected),
              value2: count(truth.young + truth.untold),
            },
          )}
        </caption>
        <thead className="border-b text-soft text-xs">
          <tr>
            <td />
            <th scope="col" className="px-3 py-1 font-medium">
              {t("Champion")}
            </th>
            <th scope="col" className="px-3 py-1 font-medium">
              {t("Candidate")}
            </th>
          </tr>
        </thead>
        <tbody>
          {RATES.map(([key, title]) => (
            <tr key={key} className="border-b last:border-0">
              <th scope="row" className="py-1 text-left font-normal">
                {title}
              </th>
              <td className="px-3 py-1">{rate(champion[key])}</td>
              <td className="px-3 py-1">{rate(candidate[key])}</td>
            </tr>
          ))}
          <tr className="border-b">
            <th scope="row" className="py-1 text-left font-normal">
              {t("Loss approved")}
            </th>
            <td className="px-3 py-1">{money(champion.loss, currency)}</td>
            <td className="px-3 py-1">{money(candidate.loss, currency)}</td>
          </tr>
          <tr>
            <th scope="row" className="py-1 text-left font-normal">
              {t("Legitimate revenue stopped")}
            </th>
            <td className="px-3 py-1">{money(champion.good_stopped, currency)}</td>
            <td className="px-3 py-1">{money(candidate.good_stopped, currency)}</td>
          </tr>
        </tbody>
      </table>
      {found.notes.map((note) => (
        <p key={note} className="pt-2 text-soft text-xs">
          {note}
        </p>
      ))}
    </div>
  );
}
