import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import type { Schemas } from "~/api/client";
import { Badge } from "~/ui/Badge";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { UNKNOWN, words } from "~/words/numbers";

type Decision = Schemas["Decision"];

/** What the list shows of a decision. The order is the service's, so nothing is sorted here. */
export const COLUMNS: ColumnDef<Decision, unknown>[] = [
  {
    id: "decided",
    header: "Decided",
    enableSorting: false,
    cell: ({ row: { original } }) => <Time at={original.decided_at} />,
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
    cell: ({ row: { original } }) =>
      original.fraud_probability === null ? UNKNOWN : original.fraud_probability.toFixed(4),
  },
  {
    id: "why",
    header: "Why",
    enableSorting: false,
    cell: ({ row: { original } }) => (
      <span className="line-clamp-2 min-w-48 max-w-3xl break-words">
        {original.explanation.reasons[0]?.text ?? words(original.explanation.decision_reason)}
      </span>
    ),
  },
  {
    id: "time",
    header: "Took place",
    enableSorting: false,
    cell: ({ row: { original } }) => <Time at={original.event_time} />,
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
        className="font-mono text-accent text-xs hover:underline"
      >
        {original.transaction_id}
      </Link>
    ),
  },
];
