import type { ColumnDef } from "@tanstack/react-table";
import type { Schemas } from "~/api/client";
import { Empty } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { count } from "~/words/numbers";

type Channel = Schemas["ChannelForm"];

const COLUMNS: ColumnDef<Channel, unknown>[] = [
  { header: "Channel", accessorKey: "name" },
  { header: "Kind", accessorKey: "kind" },
  { header: "Minimum severity", accessorKey: "severity" },
  {
    header: "Pending",
    accessorKey: "waiting",
    meta: { right: true },
    cell: ({ row }) => count(row.original.waiting),
  },
  { header: "Delivered", accessorKey: "delivered_at", cell: ({ row }) => <Time at={row.original.delivered_at} /> },
  { header: "Failed", accessorKey: "failed_at", cell: ({ row }) => <Time at={row.original.failed_at} /> },
  {
    header: "Last error",
    accessorKey: "error",
    cell: ({ row }) => (
      <span className={row.original.error ? "text-block" : "text-soft"}>{row.original.error ?? "–"}</span>
    ),
  },
];

/** Where alerts go, and how that fares. */
export function Channels({ channels, about }: { channels: readonly Channel[]; about?: string }) {
  return (
    <Panel title="Channels" about={about} flush>
      <Table
        label="Channels"
        exported
        rows={channels}
        columns={COLUMNS}
        id={(row) => row.name}
        empty={
          <Empty title="No channel is set up">Alerts are shown here and on the live page, and not delivered.</Empty>
        }
      />
    </Panel>
  );
}
