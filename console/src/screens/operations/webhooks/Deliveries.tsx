import type { ColumnDef } from "@tanstack/react-table";
import { useWork } from "~/api/work";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { plural } from "~/words/numbers";
import { type Attempt, answerInWords, replayFrom, useAttempts, type Webhook } from "./webhooks";

/** The attempts to deliver to one endpoint, newest first; from each event on it can be delivered again. */
export function Deliveries({ of, mayReplay }: { of: Webhook; mayReplay: boolean }) {
  const found = useAttempts(of.id);
  const work = useWork(["webhooks"]);
  const again = (event: string) =>
    work.mutate(async () => `${plural(await replayFrom(of.id, event), "event")} will be delivered again.`);
  return (
    <Panel title="Deliveries" about={`to ${of.url}, newest first, kept for ${plural(of.retention_days, "day")}`} flush>
      <Asked of={found} height={200}>
        {({ pages }) => (
          <>
            <Table
              label="Deliveries"
              exported
              rows={pages.flatMap((page) => page.deliveries)}
              columns={mayReplay ? [...COLUMNS, againColumn(again)] : COLUMNS}
              id={(row) => String(row.n)}
              empty={<Empty title="Nothing was delivered yet" />}
            />
            {found.hasNextPage && (
              <p className="p-3 text-center">
                <Button onClick={() => void found.fetchNextPage()}>Older deliveries</Button>
              </p>
            )}
          </>
        )}
      </Asked>
    </Panel>
  );
}

const COLUMNS: ColumnDef<Attempt, unknown>[] = [
  { header: "Time", accessorKey: "at", cell: ({ row }) => <Time at={row.original.at} /> },
  { header: "Event", accessorKey: "type" },
  { header: "About", accessorKey: "subject", cell: ({ row }) => <code>{row.original.subject}</code> },
  { header: "Attempt", accessorKey: "attempt", meta: { right: true } },
  {
    header: "Outcome",
    accessorKey: "outcome",
    cell: ({ row: { original: of } }) => (
      <span className="flex flex-col items-start gap-1">
        <Badge tone={of.outcome === "delivered" ? "good" : "bad"}>{of.outcome}</Badge>
        <span className="text-soft text-xs">{answerInWords(of)}</span>
      </span>
    ),
  },
];

function againColumn(again: (event: string) => void): ColumnDef<Attempt, unknown> {
  return {
    id: "again",
    header: "",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row }) => (
      <Button aria-label={`Deliver again from here, ${row.original.event}`} onClick={() => again(row.original.event)}>
        Deliver again from here
      </Button>
    ),
  };
}
