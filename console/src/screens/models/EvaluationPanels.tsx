import { useNavigate } from "@tanstack/react-router";
import { ExternalLink } from "lucide-react";
import { useMemo } from "react";
import type { AlignedData } from "uplot";
import { BASE } from "~/api/client";
import { unitCurves } from "~/charts/curve";
import { Plot } from "~/charts/Plot";
import { Asked } from "~/ui/Asked";
import { Select } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count, percent, UNKNOWN, words } from "~/words/numbers";
import { inFull } from "~/words/times";
import { metricName } from "./metrics";
import { type Evaluation, type Models, useEvaluation } from "./queries";
import { ThresholdsPanel } from "./ThresholdsPanel";

/** What a version was worth on its test: figures with intervals, curves, thresholds. */
export function EvaluationPanels({
  name,
  models,
  version,
}: {
  name: string;
  models: Models;
  version: string | undefined;
}) {
  const navigate = useNavigate();
  const chosen = version ?? models.champion ?? models.versions[0]?.version;
  const evaluation = useEvaluation(name, chosen);
  return (
    <>
      <Select
        label={t("Version")}
        value={chosen}
        className="max-w-sm"
        onChange={(event) =>
          void navigate({ to: "/models", search: (kept) => ({ ...kept, version: event.target.value }) })
        }
      >
        {models.versions.map((each) => (
          <option key={each.version} value={each.version}>
            {each.version}
            {each.version === models.champion ? t(" (champion)") : ""}
          </option>
        ))}
      </Select>
      <Asked of={evaluation} height={500}>
        {(found) => (
          <>
            <Notes found={found} />
            <div className="grid grid-cols-1 items-start gap-4 xl:grid-cols-2">
              <Figures found={found} />
              <div className="grid gap-4">
                <About name={name} found={found} />
                {found.precision_recall && <PrecisionRecall points={found.precision_recall} />}
                {found.calibration && <Calibration bins={found.calibration} />}
              </div>
            </div>
            {found.table && (
              <ThresholdsPanel key={found.version} name={name} models={models} table={found.table} found={found} />
            )}
          </>
        )}
      </Asked>
    </>
  );
}

function Notes({ found }: { found: Evaluation }) {
  const notes = [...(found.reason ? [found.reason] : []), ...found.notes];
  if (notes.length === 0) return null;
  return (
    <ul className="list-disc rounded-lg border bg-review-tint px-8 py-3 text-review">
      {notes.map((note) => (
        <li key={note}>{note}</li>
      ))}
    </ul>
  );
}

function Figures({ found }: { found: Evaluation }) {
  return (
    <Panel
      title={t("Test metrics")}
      about={t("Of the ensemble, with intervals of 95 %, and of each member alone.")}
      flush
    >
      <table className="w-full text-left">
        <thead className="border-b text-soft text-xs">
          <tr>
            <th scope="col" className="px-4 py-2 font-medium">
              {t("Figure")}
            </th>
            <th scope="col" className="px-3 py-2 text-right font-medium">
              {t("Ensemble")}
            </th>
            {found.members.map((member) => (
              <th key={member.name} scope="col" className="px-3 py-2 text-right font-medium">
                {words(member.name)}
                {member.weight !== null && ` · ${percent(member.weight)}`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {found.figures.map((figure) => (
            <tr key={figure.name} className="border-b last:border-0">
              <th scope="row" className="px-4 py-1.5 font-normal">
                {metricName(figure.name)}
              </th>
              <td className="whitespace-nowrap px-3 py-1.5 text-right font-semibold">
                {decimals(figure.value)}
                {figure.low !== null && figure.high !== null && (
                  <span className="block font-normal text-soft text-xs">
                    {t("{low} to {high}", { low: decimals(figure.low), high: decimals(figure.high) })}
                  </span>
                )}
              </td>
              {found.members.map((member) => (
                <td key={member.name} className="px-3 py-1.5 text-right">
                  {decimals(member.figures[figure.name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function decimals(value: number | null | undefined): string {
  return value == null ? UNKNOWN : value.toFixed(4);
}

function About({ name, found }: { name: string; found: Evaluation }) {
  const parts = ["train", "valid", "test"].filter((part) => part in found.rows);
  return (
    <Panel
      title={t("Training")}
      about={found.data ? t("on {data}", { data: found.data }) : undefined}
      actions={found.card && <CardLink name={name} version={found.version} />}
      flush
    >
      <table className="w-full text-left">
        <thead className="border-b text-soft text-xs">
          <tr>
            {[t("Part"), t("Rows"), t("Frauds"), t("Share")].map((head, n) => (
              <th key={head} scope="col" className={`px-4 py-2 font-medium ${n ? "text-right" : ""}`}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <tr key={part} className="border-b last:border-0">
              <th scope="row" className="px-4 py-1.5 font-normal">
                {part}
              </th>
              <td className="px-4 py-1.5 text-right">{count(found.rows[part])}</td>
              <td className="px-4 py-1.5 text-right">{count(found.fraud[part])}</td>
              <td className="px-4 py-1.5 text-right">{percent(share(found.fraud[part], found.rows[part]))}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="px-4 py-3 text-soft text-xs">
        {t("Trained {created_at}; {n} features; thresholds in force:", {
          created_at: inFull(found.created_at),
          n: count(found.features.length),
        })}{" "}
        {Object.entries(found.in_force)
          .map(([name, at]) => `${words(name)} ${at}`)
          .join(", ") || UNKNOWN}
        .
      </p>
    </Panel>
  );
}

function CardLink({ name, version }: { name: string; version: string }) {
  const page = `${BASE}/detectors/${encodeURIComponent(name)}/models/${version}/card?format=html`;
  return (
    <a href={page} target="_blank" rel="noreferrer" className="flex items-center gap-1 text-accent underline">
      {t("Model card")} <ExternalLink aria-hidden size={14} />
    </a>
  );
}

function share(some: number | undefined, all: number | undefined): number | null {
  return some === undefined || !all ? null : some / all;
}

const PRECISION_RECALL = unitCurves({ x: "recall: share of frauds found, 0 to 1", y: t("precision, 0 to 1") }, [
  { label: "precision", colour: "accent" },
]);

function PrecisionRecall({ points }: { points: NonNullable<Evaluation["precision_recall"]> }) {
  const data = useMemo<AlignedData>(() => {
    const sorted = [...points].sort((one, other) => one.recall - other.recall);
    return [sorted.map((point) => point.recall), sorted.map((point) => point.precision)];
  }, [points]);
  return (
    <Panel
      title={t("Precision and recall")}
      about={t("Share of flagged payments that are fraud, by the share of frauds found.")}
    >
      <Plot label={t("Precision against recall on the test")} height={210} data={data} options={PRECISION_RECALL} />
    </Panel>
  );
}

const CALIBRATION = unitCurves({ x: t("predicted probability, 0 to 1"), y: t("share that was fraud, 0 to 1") }, [
  { label: t("as said"), colour: "soft", dashed: true },
  { label: "observed", colour: "accent", dots: true },
]);

function Calibration({ bins }: { bins: NonNullable<Evaluation["calibration"]> }) {
  const data = useMemo<AlignedData>(() => {
    const kept = bins.filter((bin) => bin.count > 0).sort((one, other) => one.predicted - other.predicted);
    const x = [0, ...kept.map((bin) => bin.predicted), 1];
    return [x, x, [null, ...kept.map((bin) => bin.observed), null]];
  }, [bins]);
  return (
    <Panel
      title={t("Calibration")}
      about={t("Of payments scored 0.3, 30 of 100 should be fraud (dashed: exactly so).")}
    >
      <Plot
        label={t("Share of fraud observed against the probability said")}
        height={210}
        data={data}
        options={CALIBRATION}
      />
    </Panel>
  );
}
