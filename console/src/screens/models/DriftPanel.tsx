import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { ApiProblem, type Schemas } from "~/api/client";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { count, percent, UNKNOWN, words } from "~/words/numbers";
import { useDrift } from "./queries";

type Report = Schemas["DriftReport"];
type Column = Schemas["ColumnDrift"];

const STATES: Record<Column["state"], { tone: "good" | "bad" | "plain" | "warn"; text: string }> = {
  stable: { tone: "good", text: "stable" },
  drifted: { tone: "bad", text: "drifted" },
  filling: { tone: "plain", text: "not comparable yet" },
  few: { tone: "warn", text: "insufficient data" },
  absent: { tone: "plain", text: "absent" },
};

/** Live traffic against what the models were trained on: what has moved, what it touches, what to do. */
export function DriftPanel({ name }: { name: string }) {
  const drift = useDrift(name);
  if (drift.error instanceof ApiProblem && [409, 503].includes(drift.error.status)) {
    return (
      <Panel>
        <Empty title="There is no drift report yet">{drift.error.detail}</Empty>
      </Panel>
    );
  }
  return (
    <Asked of={drift} height={400}>
      {(report) => (
        <>
          <Findings report={report} />
          <Panel
            title="Per feature and score"
            about={`${count(report.rows)} live rows against ${report.reference}; PSI above its limit, beyond what days, chance and age explain, is drift.`}
            flush
          >
            <Table
              exported
              label="Drift by column"
              rows={report.columns}
              columns={COLUMNS}
              id={(column) => column.name}
            />
          </Panel>
        </>
      )}
    </Asked>
  );
}

function Findings({ report }: { report: Report }) {
  return (
    <Panel
      title={report.findings.length ? "Findings" : "Nothing has drifted"}
      about={
        <>
          Looked at <Time at={report.made_at} form="full" />
        </>
      }
    >
      <ul className="flex flex-col gap-3">
        {report.findings.map((finding) => (
          <li
            key={`${finding.kind}${finding.column}`}
            className="flex flex-col gap-1 border-b pb-3 last:border-0 last:pb-0"
          >
            <p className="flex flex-wrap items-center gap-2">
              <Badge tone={finding.alarm ? "bad" : "warn"}>{finding.alarm ? "alarm" : "notice"}</Badge> {finding.text}
            </p>
            <p className="text-soft">
              <strong className="text-ink">{finding.advice}</strong>: {finding.because}
            </p>
            <Touches finding={finding} />
          </li>
        ))}
        {report.notes.map((note) => (
          <li key={note} className="text-soft text-xs">
            {note}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Touches({ finding }: { finding: Schemas["Finding"] }) {
  const models = Object.entries(finding.models ?? {});
  const rules = finding.rules ?? [];
  if (models.length + rules.length === 0) return null;
  return (
    <p className="text-soft text-xs">
      Touches {models.map(([model, share]) => `${words(model)} (${percent(share)} of its score)`).join(", ")}
      {models.length > 0 && rules.length > 0 && "; "}
      {rules.map((rule, n) => (
        <span key={rule}>
          {n > 0 && ", "}rule{" "}
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
    header: "Column",
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
  { id: "kind", header: "Kind", accessorKey: "kind" },
  {
    id: "state",
    header: "State",
    accessorKey: "state",
    cell: ({ row }) => <Badge tone={STATES[row.original.state].tone}>{STATES[row.original.state].text}</Badge>,
  },
  {
    id: "psi",
    header: "PSI",
    accessorKey: "psi",
    meta: { right: true },
    cell: ({ row }) => row.original.psi.toFixed(3),
  },
  {
    id: "limit",
    header: "Limit",
    accessorKey: "limit",
    meta: { right: true },
    cell: ({ row }) => row.original.limit.toFixed(3),
  },
  {
    id: "ks",
    header: "KS",
    accessorKey: "ks",
    meta: { right: true },
    cell: ({ row }) => row.original.ks?.toFixed(3) ?? UNKNOWN,
  },
  {
    id: "missing",
    header: "Missing (training)",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row }) => {
      const [live, training] = row.original.missing;
      return `${percent(live)} (${percent(training)})`;
    },
  },
  {
    id: "days",
    header: "By day",
    enableSorting: false,
    cell: ({ row }) => <Days column={row.original} />,
  },
];

function Days({ column }: { column: Column }) {
  const highest = Math.max(column.limit, ...column.days.map((day) => day.psi), 1e-9);
  return (
    <span
      role="img"
      aria-label={`PSI by day: ${column.days.map((day) => day.psi.toFixed(3)).join(", ")}`}
      className="flex h-5 w-24 items-end gap-px"
    >
      {column.days.slice(-24).map((day) => (
        <span
          key={day.day}
          className={day.psi > column.limit ? "flex-1 bg-block" : "flex-1 bg-accent"}
          style={{ height: `${Math.max(4, (100 * day.psi) / highest)}%` }}
        />
      ))}
    </span>
  );
}
