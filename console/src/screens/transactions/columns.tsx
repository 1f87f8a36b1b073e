import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { nameOf, type Summary } from "~/api/summaries";
import { Badge } from "~/ui/Badge";
import { LinkedIdentity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { money, percent, words } from "~/words/numbers";
import { DECISIONS } from "./filters";

/** What lists show of a decision. */
export const COLUMNS: ColumnDef<Summary, unknown>[] = [
  {
    id: "time",
    header: t("Time"),
    accessorFn: (row) => row.event_time,
    sortUndefined: "last",
    cell: ({ row: { original } }) => <Time at={original.event_time} />,
  },
  {
    id: "amount",
    header: t("Amount"),
    accessorFn: (row) => row.amount ?? undefined,
    sortUndefined: "last",
    meta: { right: true },
    cell: ({ row: { original } }) => (
      <span className="whitespace-nowrap font-semibold">{money(original.amount, original.currency)}</span>
    ),
  },
  {
    id: "who",
    header: t("From → to"),
    accessorFn: (row) => nameOf(row),
    sortUndefined: "last",
    cell: ({ row: { original } }) => (
      <span className="block min-w-44 xl:min-w-80">
        <LinkedIdentity of={original} />
      </span>
    ),
  },
  {
    id: "decision",
    header: t("Decision"),
    accessorFn: (row) => DECISIONS.indexOf(row.decision.toLowerCase() as (typeof DECISIONS)[number]),
    sortUndefined: "last",
    cell: ({ row: { original } }) => (
      <span className="flex items-center gap-1">
        <Outcome of={original.decision} />
        {original.degraded && <Badge tone="warn">{t("degraded")}</Badge>}
      </span>
    ),
  },
  {
    id: "score",
    header: t("Score"),
    accessorFn: (row) => row.fraud_probability ?? undefined,
    sortUndefined: "last",
    meta: { right: true },
    cell: ({ row: { original } }) => <span className="whitespace-nowrap">{percent(original.fraud_probability)}</span>,
  },
  {
    id: "why",
    header: t("Reason"),
    accessorFn: (row) => row.reason ?? row.decision_reason,
    sortUndefined: "last",
    cell: ({ row: { original } }) => (
      <span className={`line-clamp-2 min-w-48 max-w-3xl break-words ${original.reason === null ? "text-soft" : ""}`}>
        {original.reason ?? words(original.decision_reason)}
      </span>
    ),
  },
  {
    id: "id",
    header: t("Transaction"),
    accessorFn: (row) => row.transaction_id,
    sortUndefined: "last",
    cell: ({ row: { original } }) => (
      <Link
        to="/transactions/$id"
        params={{ id: original.transaction_id }}
        search={{ detector: original.detector }}
        onClick={(event) => event.stopPropagation()}
        className="block max-w-40 truncate font-mono text-accent text-xs hover:underline"
        title={original.transaction_id}
      >
        {original.transaction_id}
      </Link>
    ),
  },
  {
    id: "decided",
    header: t("Decided"),
    accessorFn: (row) => row.decided_at,
    cell: ({ row: { original } }) => <Time at={original.decided_at} />,
  },
  { id: "detector", header: t("Detector"), accessorFn: (row) => row.detector },
];

/** Those that are shown once somebody chooses them. */
const EXTRA = new Set(["decided", "detector"]);

export const CHOOSABLE = COLUMNS.map((each) => ({
  id: String(each.id),
  name: String(each.header),
  extra: EXTRA.has(String(each.id)),
}));
