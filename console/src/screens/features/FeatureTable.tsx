import type { ColumnDef } from "@tanstack/react-table";
import { type ReactNode, useMemo } from "react";
import type { FeatureDefinition } from "~/api/definition";
import { aboutFeature } from "~/screens/rules/scope";
import { Badge } from "~/ui/Badge";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { UNKNOWN, value } from "~/words/numbers";
import { UsedBy } from "./UsedBy";

interface Props {
  detector: string;
  features: readonly FeatureDefinition[];
  chosen: string | undefined;
  onOpen: (feature: string) => void;
  empty: ReactNode;
}

/** Features side by side: what each is, over what, and who reads it. */
export function FeatureTable({ detector, features, chosen, onOpen, empty }: Props) {
  const columns = useMemo(() => columnsFor(detector), [detector]);
  return (
    <Table<FeatureDefinition>
      label={t("Features")}
      exported
      rows={features}
      columns={columns}
      id={(row) => row.name}
      onOpen={(row) => onOpen(row.name)}
      chosen={(row) => row.name === chosen}
      empty={empty}
    />
  );
}

function columnsFor(detector: string): ColumnDef<FeatureDefinition, unknown>[] {
  return [
    {
      id: "name",
      header: t("Feature"),
      accessorKey: "name",
      cell: ({ row: { original } }) => (
        <span className="flex items-center gap-1.5 font-medium">
          {original.name}
          {original.made && <Badge tone="info">{t("made")}</Badge>}
        </span>
      ),
    },
    {
      id: "definition",
      header: t("Definition"),
      enableSorting: false,
      cell: ({ row }) => (
        <code className="line-clamp-2 min-w-56 max-w-xl break-words font-mono text-xs">
          {aboutFeature(row.original)}
        </code>
      ),
    },
    {
      id: "entity",
      header: t("Entity"),
      accessorFn: (row) => row.entity ?? "",
      cell: ({ row }) => row.original.entity ?? UNKNOWN,
    },
    {
      id: "window",
      header: t("Window"),
      meta: { right: true },
      accessorFn: (row) => (row.window === "ever" ? Number.MAX_VALUE : (row.window_s ?? -1)),
      cell: ({ row }) => row.original.window ?? UNKNOWN,
    },
    { id: "type", header: t("Type"), accessorKey: "type" },
    {
      id: "usual",
      header: t("Usual"),
      meta: { right: true },
      enableSorting: false,
      cell: ({ row }) => value(row.original.usual),
    },
    {
      id: "used_by",
      header: t("Used by"),
      enableSorting: false,
      cell: ({ row }) => <UsedBy detector={detector} of={row.original.used_by} />,
    },
  ];
}
