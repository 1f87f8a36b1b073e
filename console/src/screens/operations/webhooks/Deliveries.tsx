import type { ColumnDef } from "@tanstack/react-table";
import { useWork } from "~/api/work";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { type Attempt, answerInWords, replayFrom, useAttempts, type Webhook } from "./webhooks";

/** The attempts to deliver to one endpoint, newest first; from each event on it can be delivered again. */
export function Deliveries({ of, mayReplay }: { of: Webhook; mayReplay: boolean }) {
  const found = useAttempts(of.id);
  const work = useWork(["webhooks"]);
  const again = (event: string) =>
    work.mutate(async () =>
      t("{value} will be delivered again.", { value: plural(await replayFrom(of.id, event), "event") }),
    );
  return (
    <Panel
      title={t("Deliveries")}
      about={t("to {url}, newest first, kept for {retention_days}", {
        url: of.url,
        retention_days: plural(of.retention_days, "day"),
      })}
      flush
    >
      <Asked of={found} height={200}>
        {({ pages }) => (
          <>
            <Table
              label={t("Deliveries")}
              exported
              rows={pages.flatMap((page) => page.deliveries)}
              columns={mayReplay ? [...COLUMNS, againColumn(again)] : COLUMNS}
              id={(row) => String(row.n)}
              empty={<Empty title={t("Nothing was delivered yet")} />}
            />
            {found.hasNextPage && (
              <p className="p-3 text-center">
                <Button onClick={() => void found.fetchNextPage()}>{t("Older deliveries")}</Button>
              </p>
            )}
          </>
        )}
      </Asked>
    </Panel>
  );
}

const COLUMNS: ColumnDef<Attempt, unknown>[] = [
  { header: t("Time"), accessorKey: "at", cell: ({ row }) => <Time at={row.original.at} /> },
  { header: t("Event"), accessorKey: "type" },
  { header: t("About"), accessorKey: "subject", cell: ({ row }) => <code>{row.original.subject}</code> },
  { header: t("Attempt"), accessorKey: "attempt", meta: { right: true } },
  {
    header: t("Outcome"),
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
      <Button
        aria-label={t("Deliver again from here, {event}", { event: row.original.event })}
        onClick={() => again(row.original.event)}
      >
        {t("Deliver again from here")}
      </Button>
    ),
  };
}
