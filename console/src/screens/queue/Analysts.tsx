import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { api, type Schemas, say } from "~/api/client";
import { Asked, Empty } from "~/ui/Asked";
import { Choice } from "~/ui/Choice";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { count, percent } from "~/words/numbers";

type Analyst = Schemas["Analyst"];

const SPANS = [
  { value: "1", name: "1 d" },
  { value: "7", name: "7 d" },
  { value: "30", name: "30 d" },
  { value: "90", name: "90 d" },
] as const;

const right = { right: true };

const COLUMNS: ColumnDef<Analyst, unknown>[] = [
  { header: t("Analyst"), accessorKey: "analyst" },
  { header: t("Handled"), accessorKey: "handled", meta: right, cell: ({ row }) => count(row.original.handled) },
  { header: t("Fraud"), accessorKey: "fraud", meta: right, cell: ({ row }) => count(row.original.fraud) },
  { header: t("Legitimate"), accessorKey: "good", meta: right, cell: ({ row }) => count(row.original.good) },
  { header: t("Unsure"), accessorKey: "unsure", meta: right, cell: ({ row }) => count(row.original.unsure) },
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
  {
    header: t("Overturned"),
    accessorKey: "overturned",
    meta: right,
    cell: ({ row }) => count(row.original.overturned),
  },
];

/** Who handled how many cases, and how often others or the truth agreed. */
export function Analysts() {
  const [days, setDays] = useState<(typeof SPANS)[number]["value"]>("30");
  const found = useQuery({
    queryKey: ["analysts", days],
    queryFn: async () => say(await api.GET("/analysts", { params: { query: { days: Number(days) } } })),
  });
  return (
    <Panel
      flush
      title={t("Analysts")}
      about={t(
        "Agreement: how often somebody else, or what became known later such as a chargeback, said the same. Overturned: the opposite counts in the end.",
      )}
      actions={<Choice label={t("Span")} options={SPANS} value={days} onChange={setDays} />}
    >
      <Asked of={found} height={160}>
        {(data) => (
          <Table
            label={t("Analysts")}
            exported
            rows={data.analysts}
            columns={COLUMNS}
            id={(row) => row.analyst}
            empty={<Empty title={t("Nobody gave a verdict in this time")} />}
          />
        )}
      </Asked>
    </Panel>
  );
}
