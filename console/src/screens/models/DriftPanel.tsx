import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { ApiProblem, type Schemas } from "~/api/client";
import { Columns as Chart } from "~/charts/Columns";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, percent, plural, UNKNOWN, words } from "~/words/numbers";
import { dayName } from "~/words/times";
import { byAdvice } from "./findings";
import { useDrift, useDriftOfColumn } from "./queries";

type Report = Schemas["DriftReport"];
type Column = Schemas["ColumnDrift"];

const STATES: Record<Column["state"], { tone: "good" | "bad" | "plain" | "warn"; text: string }> = {
  stable: { tone: "good", text: "stable" },
  drifted: { tone: "bad", text: "drifted" },
  filling: { tone: "plain", text: t("not comparable yet") },
  few: { tone: "warn", text: t("insufficient data") },
  absent: { tone: "plain", text: "absent" },
};

/** Live traffic against what the models were trained on: what has moved, what it touches, what to do. */
export function DriftPanel({ name }: { name: string }) {
  const drift = useDrift(name);
  if (drift.error instanceof ApiProblem && [409, 503].includes(drift.error.status)) {
    return (
      <Panel>
        <Empty title={t("There is no drift report yet")}>{drift.error.detail}</Empty>
      </Panel>
    );
  }
  return (
    <Asked of={drift} height={400}>
      {(report) => (
        <>
          <Findings report={report} />
          <Columns report={report} name={name} />
        </>
      )}
    </Asked>
  );
}

/** The columns; those that cannot be judged wait behind a button. */
function Columns({ report, name }: { report: Report; name: string }) {
  const [all, setAll] = useState(false);
  const [open, setOpen] = useState<string>();
  const judged = report.columns.filter((column) => column.state === "drifted" || column.state === "stable");
  const shown = all || judged.length === 0 ? report.columns : judged;
  const hidden = report.columns.length - shown.length;
  return (
    <Panel
      title={t("Per feature and score")}
      about={t(
        "{rows} live events vs. training data ({reference}). A column has drifted when its PSI stays above its limit.",
        { rows: count(report.rows), reference: report.reference },
      )}
      flush
      actions={
        hidden > 0 && (
          <Button onClick={() => setAll(true)}>
            {t("Show {hidden} without enough data", { hidden: plural(hidden, "column") })}
          </Button>
        )
      }
    >
      <Table
        exported
        label={t("Drift by column")}
        rows={shown}
        columns={COLUMNS}
        id={(column) => column.name}
        onOpen={(column) => setOpen(column.name === open ? undefined : column.name)}
        chosen={(column) => column.name === open}
        below={(column) => column.name === open && <OfColumn name={name} column={open} madeAt={report.made_at} />}
      />
    </Panel>
  );
}

/** Training and live side by side, bin by bin, and the index day by day. */
function OfColumn({ name, column, madeAt }: { name: string; column: string; madeAt: string }) {
  const asked = useDriftOfColumn(name, column, madeAt);
  return (
    <section aria-label={t("Distribution of {column}", { column: words(column) })} className="p-4">
      <Asked of={asked} height={220}>
        {(found) => (
          <div className="grid gap-6 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
            <Bins column={found} />
            <div className="flex flex-col gap-2">
              <h3 className="font-medium">{t("PSI by day (UTC), limit {value}", { value: found.limit.toFixed(2) })}</h3>
              <Days column={found} />
            </div>
          </div>
        )}
      </Asked>
    </section>
  );
}

function Bins({ column }: { column: Column }) {
  const most = Math.max(...column.bins.flatMap((bin) => [bin.training, bin.live]), 1e-9);
  return (
    <table className="w-full text-left">
      <caption className="pb-2 text-left font-medium">
        {t("{name}: share of events by value", { name: words(column.name) })}
      </caption>
      <thead className="text-soft text-xs">
        <tr>
          <th scope="col" className="py-1 font-medium">
            {t("Value")}
          </th>
          <th scope="col" className="py-1 font-medium">
            {t("Training")}
          </th>
          <th scope="col" className="py-1 font-medium">
            {t("Live")}
          </th>
        </tr>
      </thead>
      <tbody>
        {column.bins.map((bin) => (
          <tr key={bin.label} className="border-t">
            <td className="py-1 pr-3">{bin.label}</td>
            <Share of={bin.training} most={most} colour="bg-line" />
            <Share of={bin.live} most={most} colour="bg-accent" />
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Share({ of, most, colour }: { of: number; most: number; colour: string }) {
  return (
    <td className="py-1 pr-3">
      <span className="flex items-center gap-2">
        <span aria-hidden className="h-3 flex-1">
          <span className={cx("block h-full rounded-sm", colour)} style={{ width: `${(100 * of) / most}%` }} />
        </span>
        <span className="figure w-16 text-right">{percent(of)}</span>
      </span>
    </td>
  );
}

function Findings({ report }: { report: Report }) {
  return (
    <Panel
      title={report.findings.length ? t("Findings") : t("Nothing has drifted")}
      about={
        <>
          {t("Measured")} <Time at={report.made_at} form="full" />
        </>
      }
    >
      <div className="flex flex-col gap-4">
        {byAdvice(report.findings).map((group) => (
          <section key={group.title} aria-label={group.title}>
            <h3 className="flex flex-wrap items-center gap-2 border-b pb-1.5 text-soft">
              <Badge tone={group.alarm ? "bad" : "warn"}>{group.alarm ? t("alarm") : t("notice")}</Badge>
              <span>
                <strong className="text-ink">{group.advice}</strong>: {group.because}
              </span>
              <span className="ml-auto text-xs">{plural(group.findings.length, "finding")}</span>
            </h3>
            <ul className="divide-y">
              {group.findings.map((finding) => (
                <li
                  key={`${finding.kind}${finding.column}`}
                  className="grid gap-x-6 py-1.5 lg:grid-cols-[minmax(0,1fr)_minmax(0,24rem)] lg:items-center"
                >
                  {finding.text}
                  <Touches finding={finding} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {report.notes.map((note) => (
          <p key={note} className="text-soft text-xs">
            {note}
          </p>
        ))}
      </div>
    </Panel>
  );
}

function Touches({ finding }: { finding: Schemas["Finding"] }) {
  const models = Object.entries(finding.models ?? {});
  const rules = finding.rules ?? [];
  if (models.length + rules.length === 0) return null;
  return (
    <p className="text-soft text-xs">
      {t("Touches")}{" "}
      {models
        .map(([model, share]) => t("{model} ({share} of its score)", { model: words(model), share: percent(share) }))
        .join(", ")}
      {models.length > 0 && rules.length > 0 && "; "}
      {rules.map((rule, n) => (
        <span key={rule}>
          {n > 0 && ", "}
          {t("rule")}{" "}
          <Link to="/rules" className="text-accent underline">
            {words(rule)}
          </Link>
        </span>
      ))}
    </p>
  );
}

const COLUMNS: ColumnDef<Column, unknown>[] = [
  {
    id: "name",
    header: t("Column"),
    accessorKey: "name",
    cell: ({ row }) =>
      row.original.kind === "score" ? (
        words(row.original.name)
      ) : (
        <Link to="/features" search={{ feature: row.original.name }} className="text-accent underline">
          {words(row.original.name)}
        </Link>
      ),
  },
  { id: "kind", header: t("Kind"), accessorKey: "kind" },
  {
    id: "state",
    header: t("State"),
    accessorKey: "state",
    cell: ({ row }) => <Badge tone={STATES[row.original.state].tone}>{STATES[row.original.state].text}</Badge>,
  },
  {
    id: "psi",
    header: t("PSI"),
    accessorKey: "psi",
    meta: { right: true },
    cell: ({ row }) => row.original.psi.toFixed(3),
  },
  {
    id: "limit",
    header: t("Limit"),
    accessorKey: "limit",
    meta: { right: true },
    cell: ({ row }) => row.original.limit.toFixed(3),
  },
  {
    id: "ks",
    header: t("KS"),
    accessorKey: "ks",
    meta: { right: true },
    cell: ({ row }) => row.original.ks?.toFixed(3) ?? UNKNOWN,
  },
  {
    id: "missing",
    header: t("Missing (training)"),
    enableSorting: false,
    meta: { right: true },
    cell: ({ row }) => {
      const [live, training] = row.original.missing;
      return `${percent(live)} (${percent(training)})`;
    },
  },
];

function Days({ column }: { column: Column }) {
  return (
    <Chart
      label={t("PSI by day: {days}", { days: column.days.map((day) => day.psi.toFixed(3)).join(", ") })}
      y="PSI"
      x={t("day, UTC (dashed: the limit)")}
      columns={column.days.map((day) => ({
        name: dayName(day.day),
        title: `${day.day}: ${day.psi.toFixed(3)}`,
        bars: [{ value: day.psi, colour: day.psi > column.limit ? "review" : "accent" }],
      }))}
      format={(psi) => psi.toFixed(2)}
      limit={column.limit}
      height={180}
    />
  );
}
