import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import type { Summary } from "~/api/summaries";
import { Badge } from "~/ui/Badge";
import { LinkedIdentity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { money, percent, words } from "~/words/numbers";

/** What lists show of a decision. The order is the service's, so nothing is sorted here. */
export const COLUMNS: ColumnDef<Summary, unknown>[] = [
  {
    id: "time",
    header: "Time",
    enableSorting: false,
    cell: ({ row: { original } }) => <Time at={original.event_time} />,
  },
  {
    id: "amount",
    header: "Amount",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row: { original } }) => (
      <span className="whitespace-nowrap font-semibold">{money(original.amount, original.currency)}</span>
    ),
  },
  {
    id: "who",
    header: "From → to",
    enableSorting: false,
    cell: ({ row: { original } }) => (
      <span className="block min-w-44 xl:min-w-80">
        <LinkedIdentity of={original} />
      </span>
    ),
  },
  {
    id: "decision",
    header: "Decision",
    enableSorting: false,
    cell: ({ row: { original } }) => (
      <span className="flex items-center gap-1">
        <Outcome of={original.decision} />
        {original.degraded && <Badge tone="warn">degraded</Badge>}
      </span>
    ),
  },
  {
    id: "score",
    header: "Score",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row: { original } }) => <span className="whitespace-nowrap">{percent(original.fraud_probability)}</span>,
  },
  {
    id: "why",
    header: "Reason",
    enableSorting: false,
    cell: ({ row: { original } }) => (
      <span className={`line-clamp-2 min-w-48 max-w-3xl break-words ${original.reason === null ? "text-soft" : ""}`}>
        {original.reason ?? words(original.decision_reason)}
      </span>
    ),
  },
  {
    id: "id",
    header: "Transaction",
    enableSorting: false,
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
];
