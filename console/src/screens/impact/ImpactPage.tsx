import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { Download } from "lucide-react";
import { api, say } from "~/api/client";
import { Columns } from "~/charts/Columns";
import { Legend } from "~/charts/Legend";
import { Asked, Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { download } from "~/ui/csv";
import { Figure, Figures } from "~/ui/Figure";
import { Page } from "~/ui/Page";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { count, money, percent, plural, rate, UNKNOWN } from "~/words/numbers";
import { dayName } from "~/words/times";
import { csvOf, type Impact, type Week } from "./csv";

const EVERY_MS = 30_000;

/** What fraud cost and what was prevented in four weeks, by week and by rule, from known outcomes. */
export function ImpactPage() {
  const { detector } = useSearch({ from: "__root__" });
  const impact = useQuery({
    queryKey: ["insights", "impact", detector ?? null],
    refetchInterval: EVERY_MS,
    queryFn: async () => say(await api.GET("/insights/impact", { params: { query: { detector } } })),
  });
  return (
    <Page
      title={t("Impact")}
      about={t("The last four weeks, from known outcomes alone: labels, chargebacks and verdicts")}
      actions={
        impact.data && (
          <Button onClick={() => download(`impact-${impact.data.whole.to.slice(0, 10)}`, csvOf(impact.data))}>
            <Download aria-hidden size={14} /> {t("Export CSV")}
          </Button>
        )
      }
    >
      <Asked of={impact} height={600}>
        {(found) => (
          <>
            <Whole of={found} />
            {found.whole.known > 0 && <Course of={found} />}
            <Weeks of={found} />
            <Rules of={found} />
          </>
        )}
      </Asked>
    </Page>
  );
}

function Whole({ of: { whole, currency, labels_complete } }: { of: Impact }) {
  const blocks = t("{unknown_blocks} of {blocks} without a known outcome", {
    unknown_blocks: count(whole.unknown_blocks),
    blocks: plural(whole.blocks, "block"),
  });
  return (
    <>
      <Figures label={t("Impact")}>
        <Figure
          hero
          className="col-span-2 sm:col-span-3 lg:col-span-2"
          name={t("Fraud prevented")}
          value={money(whole.prevented.amount, currency)}
          about={[`${plural(whole.prevented.count, "blocked fraud")}`, blocks]}
        />
        <Figure
          name={t("Fraud loss")}
          tone="text-block"
          value={money(whole.loss.amount, currency)}
          about={`${plural(whole.loss.count, "approved fraud")}`}
        />
        <Figure
          name={t("False positives")}
          value={money(whole.false_positives.amount, currency)}
          about={t("{payments} blocked", { payments: plural(whole.false_positives.count, "legitimate payment") })}
        />
        <Figure
          name={t("Review rate")}
          value={percent(whole.review_rate)}
          about={
            whole.review_hours === null
              ? t("no case was assigned")
              : t("{review_hours} hours of review", { review_hours: whole.review_hours })
          }
        />
        <Figure
          name={t("Chargeback rate")}
          value={percent(whole.chargeback_rate)}
          about={t("known fraud among approved decisions")}
        />
        <Figure
          className="col-span-2"
          name={t("Decisions")}
          value={count(whole.decisions)}
          about={t("{known} with a known outcome", { known: count(whole.known) })}
        />
      </Figures>
      {!labels_complete && <p className="text-review">{t("Labels are still being read: figures will grow.")}</p>}
    </>
  );
}

/** What is compared week by week, with its name and its colour. */
const COMPARED = [
  { part: "prevented", name: "prevented", colour: "approve" },
  { part: "loss", name: "loss", colour: "block" },
  { part: "false_positives", name: t("false positives"), colour: "review" },
] as const;

/** What was prevented, lost and stopped by mistake, week by week. */
function Course({ of: { weeks, currency } }: { of: Impact }) {
  const inMoney = weeks.every((week) => COMPARED.every(({ part }) => week[part].amount !== null));
  const amountOf = (week: Week, part: (typeof COMPARED)[number]["part"]) =>
    (inMoney ? week[part].amount : week[part].count) ?? 0;
  const told = (of: number) => (inMoney ? money(of, currency) : plural(of, "payment"));
  const columns = weeks.map((week) => ({
    name: dayName(week.from),
    title: `${spanOf(week)}: ${COMPARED.map(({ part, name }) => `${name} ${told(amountOf(week, part))}`).join(", ")}`,
    bars: COMPARED.map(({ part, colour }) => ({ colour, value: amountOf(week, part) })),
  }));
  return (
    <Panel
      title={inMoney ? t("Money by week") : t("Payments by week")}
      about={t("Of payments with a known outcome")}
      actions={<Legend of={COMPARED} />}
    >
      <Columns
        label={columns.map((column) => column.title).join("; ")}
        y={inMoney ? (currency ?? t("amount")) : t("payments")}
        x={t("week from, UTC")}
        columns={columns}
        format={(value) => SHORT.format(value)}
        height={190}
        stretched
      />
    </Panel>
  );
}

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** "19 Nov to 25 Nov". */
function spanOf(week: Week): string {
  return t("{from} to {value}", {
    from: dayName(week.from),
    value: dayName(new Date(new Date(week.to).getTime() - 1)),
  });
}

function Weeks({ of: { weeks, currency } }: { of: Impact }) {
  const right = { right: true };
  const columns: ColumnDef<Week, unknown>[] = [
    {
      header: t("Week (UTC)"),
      accessorKey: "from",
      cell: ({ row: { original } }) => <span className="whitespace-nowrap">{spanOf(original)}</span>,
    },
    { header: t("Decisions"), accessorKey: "decisions", meta: right, cell: ({ row }) => count(row.original.decisions) },
    ...(["prevented", "loss", "false_positives"] as const).map(
      (name): ColumnDef<Week, unknown> => ({
        id: name,
        header: { prevented: "Prevented", loss: "Loss", false_positives: t("False positives") }[name],
        accessorFn: (week) => week[name].amount ?? week[name].count,
        meta: right,
        cell: ({ row: { original } }) => <Known of={original[name]} currency={currency} />,
      }),
    ),
    {
      header: t("Review rate"),
      accessorKey: "review_rate",
      meta: right,
      cell: ({ row }) => percent(row.original.review_rate),
    },
    {
      header: t("Review hours"),
      accessorKey: "review_hours",
      meta: right,
      cell: ({ row }) => row.original.review_hours ?? UNKNOWN,
    },
    {
      header: t("Chargeback rate"),
      accessorKey: "chargeback_rate",
      meta: right,
      cell: ({ row }) => percent(row.original.chargeback_rate),
    },
  ];
  return (
    <Panel
      title={t("By week")}
      about={t("Labels of the newest weeks are still to come, so their figures will grow")}
      flush
    >
      <Table
        label={t("Impact by week")}
        cards="labelled"
        rows={weeks.toReversed()}
        columns={columns}
        id={(week) => week.from}
        empty={<Empty title={t("Nothing was decided yet")} />}
      />
    </Panel>
  );
}

type RuleRow = Impact["rules"][number];

function Rules({ of: { rules, currency } }: { of: Impact }) {
  const right = { right: true };
  const columns: ColumnDef<RuleRow, unknown>[] = [
    {
      header: t("Rule"),
      accessorKey: "name",
      cell: ({ row: { original } }) => (
        <Link
          to="/rules/$detectorName/$rule"
          params={{ detectorName: original.detector, rule: original.name }}
          className="text-accent hover:underline"
        >
          {original.name}
        </Link>
      ),
    },
    { header: t("Action"), accessorKey: "action", cell: ({ row }) => actionOf(row.original) },
    { header: t("Fires, 30 d"), accessorKey: "fires", meta: right, cell: ({ row }) => count(row.original.fires) },
    ...(["prevented", "false_positives"] as const).map(
      (name): ColumnDef<RuleRow, unknown> => ({
        id: name,
        header: name === "prevented" ? t("Prevented") : t("False positives"),
        accessorFn: (rule) => rule[name]?.amount ?? rule[name]?.count,
        meta: right,
        cell: ({ row: { original } }) => <Known of={original[name]} currency={currency} />,
      }),
    ),
    { id: "precision", header: t("Precision"), enableSorting: false, cell: ({ row }) => rate(row.original.precision) },
  ];
  return (
    <Panel title={t("By rule")} about={t("A block counts for each blocking rule that fired on it")} flush>
      <Table
        label={t("Impact by rule")}
        cards="labelled"
        rows={rules}
        columns={columns}
        id={(rule) => `${rule.detector} ${rule.name}`}
        empty={<Empty title={t("There is no rule")} />}
      />
    </Panel>
  );
}

/** What a rule asks for, and whether it still acts. */
function actionOf({ action, state }: RuleRow): string {
  if (state === "watching") return t("{action}, in shadow", { action });
  return action ?? "retired";
}

/** The amount of some decisions, and their number. */
function Known({ of, currency }: { of: RuleRow["prevented"]; currency: string | null }) {
  if (!of) return UNKNOWN;
  return (
    <>
      {money(of.amount, currency)}
      <span className="block text-soft text-xs">{plural(of.count, "payment")}</span>
    </>
  );
}
