import { useInfiniteQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, type Schemas, say } from "~/api/client";
import { queries } from "~/api/queries";
import { useMay } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { ExportCsv } from "~/ui/ExportCsv";
import { TextArea } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { Panel } from "~/ui/Panel";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { AlertLine } from "./AlertLine";
import { type Alert, alertOf } from "./alert";
import { Channels } from "./Channels";

const EVERY_MS = 5_000;
const PAGE = 50;

const DELIVERERS: Record<string, string> = {
  service: t("This service delivers them."),
  worker: t("The worker delivers them, and keeps the log of deliveries."),
  nobody: t("No alert is raised here: the setting alerts names a file that says when."),
};

/** Alerts, whom they reached, and who takes care of them. */
export function AlertsTab() {
  const { detector } = useSearch({ from: "/operations" });
  const may = useMay();
  const [over, setOver] = useState<Alert>();
  const found = useInfiniteQuery({
    queryKey: ["deliveries", detector],
    refetchInterval: EVERY_MS,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) =>
      say(await api.GET("/alerts/deliveries", { params: { query: { detector, limit: PAGE, before: pageParam } } })),
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const mayAcknowledge = may("review") || may("approve") || may("administer") || may("operate");
  return (
    <Asked of={found} height={420}>
      {({ pages }) => (
        <>
          <Channels statuses={pages[0]?.channels ?? []} about={DELIVERERS[pages[0]?.delivered_by ?? ""]} />
          <Panel title={t("Alerts")} about={t("Newest first")} flush>
            <List alerts={pages.flatMap((page) => page.alerts)} onAcknowledge={mayAcknowledge ? setOver : undefined} />
            {found.hasNextPage && (
              <p className="p-3 text-center">
                <Button onClick={() => void found.fetchNextPage()}>{t("Older alerts")}</Button>
              </p>
            )}
            <p className="px-2 py-1 text-right">
              <ExportCsv label={t("Alerts")} rows={pages.flatMap((page) => page.alerts)} />
            </p>
          </Panel>
          {over && <AcknowledgeDialog alert={over} onClose={() => setOver(undefined)} />}
        </>
      )}
    </Asked>
  );
}

interface ListProps {
  alerts: readonly Schemas["DeliveredAlert"][];
  onAcknowledge?: (alert: Alert) => void;
}

function List({ alerts, onAcknowledge }: ListProps) {
  if (alerts.length === 0)
    return <Empty title={t("No alert yet")}>{t("They come here when something is worth a look.")}</Empty>;
  return (
    <ul aria-label={t("Alerts")}>
      {alerts.map((each) => {
        const alert = alertOf(each.alert);
        return (
          <AlertLine
            key={alert.key}
            alert={alert}
            deliveries={each.deliveries}
            acknowledged={each.acknowledged}
            onAcknowledge={onAcknowledge && (() => onAcknowledge(alert))}
          />
        );
      })}
    </ul>
  );
}

function AcknowledgeDialog({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  return (
    <FormDialog
      title={t("Acknowledge alert")}
      about={alert.text}
      action={t("Acknowledge")}
      onClose={onClose}
      onSubmit={async (given) => {
        const body = { note: part(given, "note") ?? null };
        say(await api.POST("/alerts/{key}/acknowledge", { params: { path: { key: alert.key } }, body }));
        await queries.invalidateQueries({ queryKey: ["deliveries"] });
        sayDone(t("The alert is acknowledged."));
      }}
    >
      <TextArea label={t("Comment")} name="note" rows={3} maxLength={1000} autoFocus />
    </FormDialog>
  );
}
