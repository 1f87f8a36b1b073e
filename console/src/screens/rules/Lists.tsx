import { getRouteApi } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { ListPlus } from "lucide-react";
import { useState } from "react";
import { useMay } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count } from "~/words/numbers";
import { type KeptList, useLists } from "./books";
import { ListDetail } from "./ListDetail";
import { LookUp } from "./LookUp";
import { NewList } from "./NewList";

const route = getRouteApi("/rules");

const TONES: Record<KeptList["kind"], "good" | "bad" | "info"> = { allow: "good", block: "bad", watch: "info" };

const COLUMNS: ColumnDef<KeptList, unknown>[] = [
  {
    id: "name",
    header: t("List"),
    accessorKey: "name",
    cell: ({ row: { original } }) => (
      <div className="min-w-36">
        <p className="flex flex-wrap items-center gap-1.5 font-medium">
          {original.name}
          {original.archived && <Badge>{t("archived")}</Badge>}
          {original.protected && <Badge tone="warn">{t("protected")}</Badge>}
          {original.personal && <Badge tone="info">{t("personal")}</Badge>}
          {original.pending.length > 0 && <Badge tone="warn">{t("waits")}</Badge>}
        </p>
        <p className="text-soft text-xs">{original.about}</p>
      </div>
    ),
  },
  {
    id: "kind",
    header: t("Kind"),
    accessorKey: "kind",
    cell: ({ row }) => <Badge tone={TONES[row.original.kind]}>{row.original.kind}</Badge>,
  },
  {
    id: "in_force",
    header: t("In force"),
    accessorKey: "in_force",
    meta: { right: true },
    cell: ({ row }) => count(row.original.in_force),
  },
  {
    id: "asked_by",
    header: t("Asked by"),
    enableSorting: false,
    cell: ({ row }) => <span className="text-xs">{row.original.asked_by.join(", ") || t("no rule")}</span>,
  },
  {
    id: "changed",
    header: t("Last change"),
    accessorKey: "changed_at",
    cell: ({ row }) => (
      <span className="whitespace-nowrap">
        <Time at={row.original.changed_at} />{" "}
        <span className="text-soft">{t("by {changed_by}", { changed_by: row.original.changed_by })}</span>
      </span>
    ),
  },
];

/** The lists that rules ask, and what is on the chosen one. */
export function Lists({ detector }: { detector: string }) {
  const { list: chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const may = useMay(detector);
  const lists = useLists(detector);
  const [making, setMaking] = useState(false);
  const open = (list: string | undefined) =>
    void navigate({ search: (kept) => ({ ...kept, list }), resetScroll: false });
  return (
    <Asked of={lists} height={300}>
      {({ lists: found }) => {
        const shown = found.find((each) => each.name === chosen);
        return (
          <>
            <LookUp detector={detector} onOpen={open} />
            <Panel
              title={t("Lists")}
              about={t("Values that rules look for; a change counts from the next decision on.")}
              flush
              actions={
                may("author") && (
                  <Button onClick={() => setMaking(true)}>
                    <ListPlus aria-hidden size={16} /> {t("New list")}
                  </Button>
                )
              }
            >
              <Table<KeptList>
                label={t("Lists")}
                exported
                rows={found}
                columns={COLUMNS}
                id={(row) => row.name}
                onOpen={(row) => open(row.name)}
                chosen={(row) => row.name === chosen}
                empty={
                  <Empty title={t("No lists yet")}>
                    {t("A rule asks a list by its name, as in")} <code>device_id IN list('stolen_devices')</code>.
                  </Empty>
                }
              />
            </Panel>
            {shown && <ListDetail key={shown.name} detector={detector} list={shown} />}
            {making && (
              <NewList
                detector={detector}
                onClose={(made) => {
                  setMaking(false);
                  if (made) open(made);
                }}
              />
            )}
          </>
        );
      }}
    </Asked>
  );
}
