import { Link, useNavigate } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { Clock, TriangleAlert } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import type { RuleInsights } from "~/api/insights";
import { type Layout, shownColumns } from "~/ui/layout";
import { Outcome } from "~/ui/Outcome";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, percent, UNKNOWN } from "~/words/numbers";
import type { Rule } from "./books";
import { estimate, insightOf, isYoung, maturity, precision, type RuleInsight } from "./insight";
import { StateMark } from "./State";

interface Props {
  detector: string;
  rules: readonly Rule[];
  insights: RuleInsights | undefined;
  range: string;
  empty: ReactNode;
  layout: Layout;
  onLayout: (changed: Layout) => void;
}

/** The columns that somebody can choose. */
export const CHOOSABLE = [
  { id: "name", name: t("Rule") },
  { id: "state", name: t("State") },
  { id: "action", name: t("Action") },
  { id: "fires", name: t("Fires") },
  { id: "precision", name: t("Precision") },
  { id: "owner", name: t("Owner") },
  { id: "changed", name: t("Last change") },
];
const NAMES = CHOOSABLE.map((each) => each.id);

interface Row {
  rule: Rule;
  insight: RuleInsight | null;
}

/** The rules side by side; a row opens its rule. */
export function RuleTable({ detector, rules, insights, range, empty, layout, onLayout }: Props) {
  const navigate = useNavigate();
  const rows = useMemo(
    () => rules.map((rule) => ({ rule, insight: insightOf(rule, insights?.rules) })),
    [rules, insights],
  );
  const shown = shownColumns(layout, NAMES, NAMES);
  const columns = columnsFor(detector, range).filter((each) => shown.includes(String(each.id)));
  return (
    <Table<Row>
      label={t("Rules")}
      cards="labelled"
      exported
      rows={rows}
      columns={columns}
      layout={layout}
      onLayout={onLayout}
      id={(row) => row.rule.name}
      onOpen={(row) =>
        void navigate({ to: "/rules/$detectorName/$rule", params: { detectorName: detector, rule: row.rule.name } })
      }
      empty={empty}
    />
  );
}

function columnsFor(detector: string, range: string): ColumnDef<Row, unknown>[] {
  const right = { right: true };
  return [
    {
      id: "name",
      header: t("Rule"),
      accessorFn: (row) => row.rule.name,
      cell: ({ row }) => named(detector, row.original.rule),
    },
    {
      id: "state",
      header: t("State"),
      accessorFn: (row) => row.rule.state,
      cell: ({ row }) => states(row.original.rule),
    },
    {
      id: "action",
      header: t("Action"),
      accessorFn: (row) => shown(row.rule).then,
      cell: ({ row }) => <Outcome of={shown(row.original.rule).then} />,
    },
    {
      id: "fires",
      header: `Fires, ${range}`,
      meta: right,
      accessorFn: (row) => row.insight?.fires ?? -1,
      cell: ({ row }) => fires(detector, row.original),
    },
    {
      id: "precision",
      header: t("Precision"),
      meta: right,
      accessorFn: (row) => row.insight?.labels.precision ?? -1,
      cell: ({ row }) => <Precise insight={row.original.insight} />,
    },
    { id: "owner", header: t("Owner"), accessorFn: (row) => row.rule.author },
    {
      id: "changed",
      header: t("Last change"),
      accessorFn: (row) => row.rule.since,
      cell: ({ row }) => (
        <span className="whitespace-nowrap">
          <Time at={row.original.rule.since} />{" "}
          <span className="text-soft">{t("by {changed_by}", { changed_by: row.original.rule.changed_by })}</span>
        </span>
      ),
    },
  ];
}

function shown(rule: Rule) {
  return rule.active ?? rule.candidate ?? rule.newest;
}

function named(detector: string, rule: Rule): ReactNode {
  return (
    <div className="flex min-w-44 flex-col">
      <span className="flex items-center gap-1.5">
        <Link
          to="/rules/$detectorName/$rule"
          params={{ detectorName: detector, rule: rule.name }}
          className="font-medium text-accent hover:underline"
          onClick={(event) => event.stopPropagation()}
        >
          {rule.name}
        </Link>
        {rule.warnings.length > 0 && (
          <span title={rule.warnings.map((each) => each.sentence).join("\n")} className="text-review">
            <TriangleAlert aria-label={t("warning")} size={14} />
          </span>
        )}
        {rule.pending.length > 0 && (
          <span title={t("A request waits for another person")} className="text-review">
            <Clock aria-label={t("a request waits")} size={14} />
          </span>
        )}
      </span>
      <code className="max-w-[26rem] truncate font-mono text-soft text-xs max-sm:whitespace-normal">
        {shown(rule).when}
      </code>
    </div>
  );
}

function states(rule: Rule): ReactNode {
  const tried = rule.active && rule.candidate;
  return (
    <span className="flex flex-wrap items-center gap-1">
      <StateMark of={rule.state} rollout={shown(rule).rollout} />
      {tried && <StateMark of={tried.state} rollout={tried.rollout} />}
    </span>
  );
}

function fires(detector: string, { rule, insight }: Row): ReactNode {
  if (!insight) return <span className="text-soft">{UNKNOWN}</span>;
  return (
    <span className="flex flex-col items-end">
      <Link
        to="/transactions"
        search={(kept) => ({ ...kept, detector, rule: insight.name })}
        className="text-accent hover:underline"
        aria-label={t("{fires} transactions on which {name} fired", { fires: count(insight.fires), name: rule.name })}
        onClick={(event) => event.stopPropagation()}
      >
        {count(insight.fires)}
      </Link>
      <span className="text-soft text-xs">{percent(insight.share)}</span>
    </span>
  );
}

/** A precision beside how much is known; one that rests on little is said to be young. */
export function Precise({ insight }: { insight: RuleInsight | null }) {
  if (!insight) return <span className="text-soft">{UNKNOWN}</span>;
  const { labels } = insight;
  return (
    <span className="flex flex-col items-end">
      <span>
        {precision(labels)}
        {labels.precision !== null && isYoung(labels) && (
          <span className="text-review text-xs"> {t("labels incomplete")}</span>
        )}
      </span>
      <span className="whitespace-nowrap text-soft text-xs">{maturity(labels)}</span>
      {labels.estimate && <span className="text-soft text-xs sm:whitespace-nowrap">{estimate(labels)}</span>}
    </span>
  );
}
