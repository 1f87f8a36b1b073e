import { useNavigate } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import type { Decision } from "~/live/feed";
import { Empty } from "~/ui/Asked";
import { Outcome } from "~/ui/Outcome";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { percent, words } from "~/words/numbers";

const COLUMNS: ColumnDef<Decision, unknown>[] = [
  { id: "at", header: "Time", accessorKey: "event_time", cell: ({ row }) => <Time at={row.original.event_time} /> },
  { id: "id", header: "Transaction", accessorKey: "transaction_id" },
  {
    id: "decision",
    header: "Decision",
    accessorKey: "decision",
    cell: ({ row }) => <Outcome of={row.original.decision} />,
  },
  {
    id: "score",
    header: "Score",
    accessorKey: "fraud_probability",
    meta: { right: true },
    cell: ({ row }) => percent(row.original.fraud_probability),
  },
  {
    id: "why",
    header: "Because",
    enableSorting: false,
    cell: ({ row }) => {
      const { reasons, decision_reason } = row.original.explanation;
      return <span className="text-soft">{reasons[0]?.text ?? words(decision_reason)}</span>;
    },
  },
];

/** Decisions, each of which can be opened. */
export function RecentTable({ decisions }: { decisions: readonly Decision[] }) {
  const navigate = useNavigate();
  return (
    <Table
      label="Latest transactions"
      rows={decisions}
      columns={COLUMNS}
      id={(row) => row.transaction_id}
      onOpen={(row) => void navigate({ to: "/transactions/$id", params: { id: row.transaction_id } })}
      empty={<Empty title="No decision about it is recorded" />}
    />
  );
}
