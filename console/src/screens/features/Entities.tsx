import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import type { Definition } from "~/api/definition";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { count } from "~/words/numbers";
import { bytes } from "./bytes";

type Entity = Definition["entities"][number];

const COLUMNS: ColumnDef<Entity, unknown>[] = [
  { id: "name", header: t("Entity"), accessorKey: "name" },
  {
    id: "fields",
    header: t("Key"),
    enableSorting: false,
    cell: ({ row }) => (
      <code className="font-mono text-xs">{row.original.fields.map((each) => each.join(" + ")).join(t(" or "))}</code>
    ),
  },
  {
    id: "features",
    header: t("Aggregates"),
    accessorKey: "features",
    meta: { right: true },
    cell: ({ row }) => (
      <Link
        from="/features"
        to="/features"
        search={(kept) => ({ ...kept, entity: row.original.name })}
        className="text-accent hover:underline"
      >
        {count(row.original.features)}
      </Link>
    ),
  },
  {
    id: "keys",
    header: t("Keys in state"),
    accessorKey: "keys",
    meta: { right: true },
    cell: ({ row }) => count(row.original.keys),
  },
  {
    id: "bytes",
    header: t("Memory"),
    accessorKey: "bytes",
    meta: { right: true },
    cell: ({ row }) => bytes(row.original.bytes),
  },
];

/** What features are computed of. */
export function Entities({ entities }: { entities: readonly Entity[] }) {
  return (
    <Panel title={t("Entities")} about={t("What a key stands for, and the state that is held for it.")} flush>
      <Table<Entity> label={t("Entities")} rows={entities} columns={COLUMNS} id={(row) => row.name} />
    </Panel>
  );
}
