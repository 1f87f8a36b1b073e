import { useInfiniteQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { X } from "lucide-react";
import { useMemo } from "react";
import { api, say } from "~/api/client";
import { useMay } from "~/session/session";
import { Empty, Failed, Waiting } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { type Entry, type KeptList, useWork } from "./books";
import { changed } from "./entries";

export type EntryState = "in_force" | "expired" | "removed" | "all";

interface Props {
  detector: string;
  list: KeptList;
  state: EntryState;
  search: string;
}

/** The entries of a list, the newest first, page by page. */
export function EntryTable({ detector, list, state, search }: Props) {
  const may = useMay(detector);
  const work = useWork(detector);
  const pages = useEntries({ detector, list, state, search });
  const removing = may("author") && !list.archived;
  const { mutate } = work;
  const columns = useMemo(() => {
    const remove = (value: string) =>
      mutate(async () => {
        const params = { path: { name: detector, list_name: list.name } };
        const body = { values: [value], note: "" };
        return changed(list.name, say(await api.POST("/detectors/{name}/lists/{list_name}/remove", { params, body })));
      });
    return columnsFor(removing ? remove : null);
  }, [mutate, detector, list.name, removing]);
  if (pages.isError) return <Failed error={pages.error} again={() => void pages.refetch()} />;
  if (!pages.data) return <Waiting height={160} />;
  return (
    <>
      <Table<Entry>
        label={t("Entries of {name}", { name: list.name })}
        rows={pages.data.pages.flatMap((page) => page.entries)}
        columns={columns}
        id={(row) => `${row.value} ${row.added_at}`}
        empty={<Empty title={search ? t("Nothing begins with {search}", { search }) : t("Nothing is on it")} />}
      />
      {pages.hasNextPage && (
        <div className="p-3 text-center">
          <Button busy={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
            {t("Older entries")}
          </Button>
        </div>
      )}
    </>
  );
}

function useEntries({ detector, list, state, search }: Props) {
  return useInfiniteQuery({
    queryKey: ["lists", detector, "entries", list.name, state, search],
    initialPageParam: null as string | null,
    queryFn: async ({ pageParam, signal }) =>
      say(
        await api.GET("/detectors/{name}/lists/{list_name}/entries", {
          params: { path: { name: detector, list_name: list.name }, query: { state, search, before: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (page) => page.next,
  });
}

function columnsFor(remove: ((value: string) => void) | null): ColumnDef<Entry, unknown>[] {
  return [
    {
      id: "value",
      header: t("Value"),
      accessorKey: "value",
      cell: ({ row }) => <code className="inline-block min-w-28 break-all font-mono">{row.original.value}</code>,
    },
    { id: "reason", header: t("Reason"), accessorFn: (row) => row.reason || "–" },
    { id: "author", header: t("Author"), accessorKey: "author" },
    {
      id: "added",
      header: t("Added"),
      accessorKey: "added_at",
      cell: ({ row }) => <Time at={row.original.added_at} />,
    },
    {
      id: "expires",
      header: t("Expires"),
      accessorFn: (row) => row.expires_at ?? "9999",
      cell: ({ row }) => (row.original.expires_at ? <Time at={row.original.expires_at} /> : "never"),
    },
    { id: "state", header: t("State"), accessorKey: "state", cell: ({ row }) => <EntryMark entry={row.original} /> },
    {
      id: "remove",
      header: "",
      cell: ({ row }) =>
        remove &&
        row.original.state === "in_force" && (
          <Button
            look="quiet"
            aria-label={t("Remove {value}", { value: row.original.value })}
            onClick={() => remove(row.original.value)}
          >
            <X aria-hidden size={15} />
          </Button>
        ),
    },
  ];
}

function EntryMark({ entry }: { entry: Entry }) {
  if (entry.state === "in_force") return <Badge tone="good">{t("in force")}</Badge>;
  if (entry.state === "expired") return <Badge>{t("expired")}</Badge>;
  return (
    <span className="whitespace-nowrap text-xs">
      <Badge>{t("removed")}</Badge> <Time at={entry.removed_at} />{" "}
      {t("by {removed_by}", { removed_by: entry.removed_by })}
    </span>
  );
}
