import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { RefreshCw } from "lucide-react";
import { summaries } from "~/api/summaries";
import { Views } from "~/app/Views";
import { Empty, Failed, Waiting } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { ColumnMenu } from "~/ui/ColumnMenu";
import { type Layout, shownColumns } from "~/ui/layout";
import { Page } from "~/ui/Page";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { CHOOSABLE, COLUMNS } from "./columns";
import { FilterBar } from "./FilterBar";
import { type Filters, isFiltered, query } from "./filters";

const PAGE = 50;
const NAMES = [
  CHOOSABLE.map((each) => each.id),
  CHOOSABLE.filter((each) => !each.extra).map((each) => each.id),
] as const;

/** Recorded decisions, newest first, filtered as the address says. */
export function TransactionsPage() {
  const { detector, columns, sort, widths, ...filters } = useSearch({ from: "/transactions" });
  const layout = { columns, sort, widths };
  const onLayout = (changed: Layout) =>
    void navigate({ to: "/transactions", search: (kept) => ({ ...kept, ...changed }), replace: true });
  const shown = shownColumns(layout, ...NAMES);
  const navigate = useNavigate();
  const list = useListed(filters, detector);
  const rows = list.data?.pages.flatMap((page) => page.transactions) ?? [];
  return (
    <Page
      title={t("Transactions")}
      about={t("Recorded decisions, the newest first")}
      actions={
        <>
          <Views page="/transactions" />
          <Button onClick={() => void list.refetch()} busy={list.isRefetching}>
            <RefreshCw aria-hidden size={14} /> {t("Newest")}
          </Button>
        </>
      }
    >
      <FilterBar filters={filters} />
      <Panel
        flush
        title={t("Decisions")}
        about={
          list.data &&
          `${t("{decisions} shown", { decisions: plural(rows.length, "decision") })}${sort ? t(", and sorted among these") : ""}`
        }
        actions={<ColumnMenu columns={CHOOSABLE} layout={layout} onLayout={onLayout} />}
      >
        {list.isError && !list.data ? (
          <Failed error={list.error} again={() => void list.refetch()} />
        ) : list.data === undefined ? (
          <Waiting height={600} />
        ) : (
          <Table
            label={t("Transactions")}
            exported
            rows={rows}
            columns={COLUMNS.filter((each) => shown.includes(String(each.id)))}
            layout={layout}
            onLayout={onLayout}
            cards
            id={(row) => `${row.detector} ${row.transaction_id}`}
            onOpen={(row) => void navigate({ to: "/transactions/$id", params: { id: row.transaction_id } })}
            empty={<Nothing filtered={isFiltered(filters)} />}
          />
        )}
      </Panel>
      {list.hasNextPage && (
        <div className="flex justify-center">
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t("Older")}
          </Button>
        </div>
      )}
    </Page>
  );
}

function useListed(filters: Filters, detector: string | undefined) {
  const asked = { ...query(filters), detector };
  return useInfiniteQuery({
    queryKey: ["transactions", asked],
    initialPageParam: undefined as string | undefined,
    refetchOnWindowFocus: false,
    queryFn: ({ pageParam }) => summaries({ ...asked, before: pageParam, limit: PAGE }),
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

function Nothing({ filtered }: { filtered: boolean }) {
  return (
    <Empty title={filtered ? t("No recorded decision is like this") : t("Nothing was decided yet")}>
      {filtered
        ? t("Widen the filters, or show all transactions.")
        : t("Send a transaction to POST /predict, or try one.")}
    </Empty>
  );
}
