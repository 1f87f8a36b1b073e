import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { api, say } from "~/api/client";
import { Asked, Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { ExportCsv } from "~/ui/ExportCsv";
import { TextField } from "~/ui/Field";
import { part } from "~/ui/FormDialog";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { instant, localInput } from "~/words/zones";
import { EntryLine } from "./EntryLine";
import { Verified } from "./Verified";

const PAGE = 50;

/** Who changed what: filtered, newest first, and whether the log is whole. */
export function AuditTab() {
  const { actor, action, subject, from, to } = useSearch({ from: "/operations" });
  const filter = { actor, action, subject, from, to };
  const found = useInfiniteQuery({
    queryKey: ["audit", filter],
    initialPageParam: undefined as number | undefined,
    queryFn: async ({ pageParam }) =>
      say(await api.GET("/audit", { params: { query: { ...filter, limit: PAGE, before: pageParam } } })),
    getNextPageParam: (page) => page.next ?? undefined,
  });
  return (
    <>
      <Verified />
      <Panel
        title={t("Changes")}
        about={t("Newest first; times in your zone")}
        flush
        actions={<Button onClick={() => void found.refetch()}>{t("Refresh")}</Button>}
      >
        <Filters key={JSON.stringify(filter)} filter={filter} />
        <Asked
          of={found}
          height={320}
          empty={({ pages }) =>
            !pages[0]?.entries.length && (
              <Empty title={t("No change")}>{t("Nothing was changed, or nothing that fits these filters.")}</Empty>
            )
          }
        >
          {({ pages }) => (
            <>
              <ol aria-label={t("Changes")}>
                {pages
                  .flatMap((page) => page.entries)
                  .map((entry) => (
                    <EntryLine key={entry.seq} entry={entry} />
                  ))}
              </ol>
              {found.hasNextPage && (
                <p className="p-3 text-center">
                  <Button onClick={() => void found.fetchNextPage()}>{t("Older changes")}</Button>
                </p>
              )}
              <p className="px-2 py-1 text-right">
                <ExportCsv label={t("Changes")} rows={pages.flatMap((page) => page.entries)} />
              </p>
            </>
          )}
        </Asked>
      </Panel>
    </>
  );
}

type Filter = { actor?: string; action?: string; subject?: string; from?: string; to?: string };

function Filters({ filter }: { filter: Filter }) {
  const navigate = useNavigate();
  const set = (to: Filter) => void navigate({ to: "/operations", search: (kept) => ({ ...kept, ...to }) });
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    set({
      actor: part(given, "actor"),
      action: part(given, "action"),
      subject: part(given, "subject"),
      from: instant(part(given, "from")),
      to: instant(part(given, "to")),
    });
  }
  const none = { actor: undefined, action: undefined, subject: undefined, from: undefined, to: undefined };
  return (
    <form
      onSubmit={submit}
      aria-label={t("Filter the changes")}
      className="grid grid-cols-2 items-end gap-3 px-4 pb-3 md:grid-cols-3 xl:grid-cols-[repeat(5,minmax(0,1fr))_auto]"
    >
      <TextField label={t("Who")} name="actor" defaultValue={filter.actor} placeholder={t("ana")} />
      <TextField label={t("Action")} name="action" defaultValue={filter.action} placeholder={t("keys.add, or keys")} />
      <TextField label={t("What")} name="subject" defaultValue={filter.subject} placeholder={t("keys/3fa9")} />
      <TextField label={t("From")} name="from" type="datetime-local" defaultValue={localInput(filter.from)} />
      <TextField label={t("Until")} name="to" type="datetime-local" defaultValue={localInput(filter.to)} />
      <div className="flex gap-2">
        <Button type="submit">{t("Filter")}</Button>
        {Object.values(filter).some(Boolean) && (
          <Button look="quiet" onClick={() => set(none)}>
            {t("Clear")}
          </Button>
        )}
      </div>
    </form>
  );
}
