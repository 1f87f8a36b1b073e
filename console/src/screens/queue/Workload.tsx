import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { api, type Schemas, say } from "~/api/client";
import { EVERYWHERE, useMay } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { count, percent, words } from "~/words/numbers";
import { duration } from "~/words/times";
import { setDue, useQueues } from "./cases";

type Load = Schemas["AnalystLoad"];
type Ages = Schemas["QueueAges"];
type Queue = Schemas["QueueForm"];

const SPANS = [
  { value: "1", name: t("Today") },
  { value: "7", name: "7 d" },
  { value: "30", name: "30 d" },
] as const;

/** Within how long the new cases of each queue are due. */
function DueTimes() {
  const queues = useQueues();
  const may = useMay(EVERYWHERE);
  const mayChange = may("approve") || may("administer");
  const [changed, setChanged] = useState<Queue>();
  const columns: ColumnDef<Queue, unknown>[] = [
    { header: t("Queue"), accessorKey: "queue", cell: ({ row }) => words(row.original.queue) },
    {
      header: t("Due within"),
      accessorKey: "due_minutes",
      meta: right,
      cell: ({ row: { original } }) =>
        original.due_minutes === null ? t("no due time") : duration(60 * original.due_minutes),
    },
    {
      id: "change",
      header: "",
      enableSorting: false,
      meta: right,
      cell: ({ row: { original } }) =>
        mayChange && <Button onClick={() => setChanged(original)}>{t("Set due time…")}</Button>,
    },
  ];
  return (
    <Panel flush title={t("Due times")} about={t("Of cases that come into a queue from now on.")}>
      <Asked of={queues} height={120}>
        {(data) => <Table label={t("Due times")} rows={data.queues} columns={columns} id={(row) => row.queue} />}
      </Asked>
      {changed && <DueDialog of={changed} onClose={() => setChanged(undefined)} />}
    </Panel>
  );
}

function DueDialog({ of, onClose }: { of: Queue; onClose: () => void }) {
  const submit = async (given: FormData) => {
    const hours = part(given, "hours");
    await setDue(of.queue, hours === undefined ? null : Math.round(60 * Number(hours)));
  };
  return (
    <FormDialog
      title={t("Due time of {queue}", { queue: words(of.queue) })}
      about={t("Cases that are in the queue already keep theirs.")}
      onClose={onClose}
      onSubmit={submit}
      action={t("Set due time")}
    >
      <TextField
        label={t("Due within, in hours")}
        name="hours"
        type="number"
        min="0.25"
        step="0.25"
        defaultValue={of.due_minutes === null ? "" : String(of.due_minutes / 60)}
        hint={t("Empty: no due time.")}
        autoFocus
      />
    </FormDialog>
  );
}

/** What each analyst has to do and gets done, and how old the cases of each queue are. */
export function Workload() {
  const [days, setDays] = useState<(typeof SPANS)[number]["value"]>("7");
  const found = useQuery({
    queryKey: ["workload", days],
    refetchInterval: 30_000,
    queryFn: async () => say(await api.GET("/cases/workload", { params: { query: { days: Number(days) } } })),
  });
  return (
    <>
      <Panel
        flush
        title={t("Workload")}
        about={t(
          "Open: held by or assigned to the analyst. Decided: cases with a verdict, in days of UTC. Time to decision: median, from the opening of a case to the verdict.",
        )}
        actions={<Choice label={t("Span")} options={SPANS} value={days} onChange={setDays} />}
      >
        <Asked of={found} height={200}>
          {(data) => (
            <Table
              label={t("Workload")}
              exported
              rows={data.analysts}
              columns={LOAD}
              id={(row) => row.analyst}
              empty={<Empty title={t("No open cases and no verdicts in this time")} />}
            />
          )}
        </Asked>
      </Panel>
      <Panel flush title={t("Queue ages")} about={t("Undecided cases by the time since they were opened.")}>
        <Asked of={found} height={120}>
          {(data) => (
            <Table
              label={t("Queue ages")}
              exported
              rows={data.queues}
              columns={AGES}
              id={(row) => row.queue}
              empty={<Empty title={t("No case waits")} />}
            />
          )}
        </Asked>
      </Panel>
      <DueTimes />
    </>
  );
}

const right = { right: true };
const sum = (of: readonly number[]) => of.reduce((all, each) => all + each, 0);

const LOAD: ColumnDef<Load, unknown>[] = [
  { header: t("Analyst"), accessorKey: "analyst" },
  { header: t("Open"), accessorKey: "open", meta: right, cell: ({ row }) => count(row.original.open) },
  { header: t("Overdue"), accessorKey: "overdue", meta: right, cell: ({ row }) => count(row.original.overdue) },
  {
    header: t("Decided"),
    id: "decided",
    accessorFn: (row) => sum(row.decided),
    meta: right,
    cell: ({ row }) => count(sum(row.original.decided)),
  },
  {
    header: t("A day"),
    id: "a day",
    accessorFn: (row) => sum(row.decided) / row.decided.length,
    meta: right,
    cell: ({ row }) => count(Math.round((10 * sum(row.original.decided)) / row.original.decided.length) / 10),
  },
  {
    header: t("By day"),
    id: "by day",
    enableSorting: false,
    cell: ({ row }) => <span className="figure text-soft text-xs">{row.original.decided.map(count).join(" · ")}</span>,
  },
  {
    header: t("Time to decision"),
    accessorKey: "median_s",
    meta: right,
    cell: ({ row }) => duration(row.original.median_s),
  },
  {
    header: t("Agreement"),
    accessorKey: "agreement",
    meta: right,
    cell: ({ row }) =>
      t("{agreement} of {compared}", {
        agreement: percent(row.original.agreement),
        compared: count(row.original.compared),
      }),
  },
];

const AGES: ColumnDef<Ages, unknown>[] = [
  { header: t("Queue"), accessorKey: "queue", cell: ({ row }) => words(row.original.queue) },
  { header: t("Under 1 h"), accessorKey: "under_1h", meta: right },
  { header: "1 to 4 h", accessorKey: "under_4h", meta: right },
  { header: "4 to 24 h", accessorKey: "under_1d", meta: right },
  { header: t("Older"), accessorKey: "older", meta: right },
  { header: t("Overdue"), accessorKey: "overdue", meta: right },
  { header: t("Unassigned"), accessorKey: "unassigned", meta: right },
];
