import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { useWork } from "~/api/work";
import { useMay } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Secret } from "~/ui/Secret";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, words } from "~/words/numbers";
import { Deliveries } from "./Deliveries";
import { AddWebhook, RemoveWebhook, RotateSecret } from "./WebhookDialogs";
import { answerInWords, changeWebhook, selectionInWords, testWebhook, useWebhooks, type Webhook } from "./webhooks";

const TONES = { delivering: "good", retrying: "warn", failing: "bad", paused: "plain" } as const;

type Asking = "add" | { kind: "rotate" | "remove"; of: Webhook };

/** The addresses that events are posted to: how delivery fares, what was delivered, and again if need be. */
export function WebhooksTab() {
  const found = useWebhooks();
  const may = useMay();
  const [asking, ask] = useState<Asking>();
  const [made, setMade] = useState<{ url: string; secret: string }>();
  const [shown, show] = useState<string>();
  const removing = typeof asking === "object" && asking.kind === "remove" ? asking.of : undefined;
  const chosen = found.data?.find((each) => each.id === shown && each.id !== removing?.id);
  const administers = may("administer");
  const close = () => ask(undefined);
  return (
    <>
      <Panel
        title={t("Webhooks")}
        about={t("Decisions, cases, labels and changes, signed and posted to addresses of yours")}
        flush
        actions={
          administers && (
            <Button look="main" onClick={() => ask("add")}>
              {t("Add an endpoint…")}
            </Button>
          )
        }
      >
        {made && (
          <Secret
            of={
              <>
                {t("The signing secret of")} <b>{made.url}</b>
              </>
            }
            secret={made.secret}
            onClose={() => setMade(undefined)}
          />
        )}
        <Asked of={found} height={200}>
          {(webhooks) => (
            <Table
              label={t("Webhooks")}
              exported
              rows={webhooks}
              columns={[...COLUMNS, stepsColumn(administers, administers || may("operate"), show, ask)]}
              id={(row) => row.id}
              empty={
                <Empty title={t("No endpoint yet")}>{t("Systems of yours hear of nothing until there is one.")}</Empty>
              }
            />
          )}
        </Asked>
      </Panel>
      {chosen && <Deliveries of={chosen} mayReplay={administers || may("operate")} />}
      {asking === "add" && <AddWebhook onClose={close} onMade={setMade} />}
      {typeof asking === "object" && asking.kind === "rotate" && (
        <RotateSecret of={asking.of} onClose={close} onMade={setMade} />
      )}
      {removing && <RemoveWebhook of={removing} onClose={close} onRemoved={() => show(undefined)} />}
    </>
  );
}

const COLUMNS: ColumnDef<Webhook, unknown>[] = [
  {
    header: t("Address"),
    accessorKey: "url",
    cell: ({ row: { original: of } }) => (
      <span className="flex min-w-0 flex-col">
        <span className="break-all font-medium">{of.url}</span>
        {of.description && <span className="text-soft text-xs">{of.description}</span>}
      </span>
    ),
  },
  { id: "events", header: t("Events"), accessorFn: selectionInWords },
  {
    header: t("State"),
    accessorKey: "state",
    cell: ({ row: { original: of } }) => (
      <span className="flex flex-col items-start gap-1">
        <Badge tone={TONES[of.state as keyof typeof TONES] ?? "plain"}>{words(of.state)}</Badge>
        {of.error && <span className="text-block text-xs">{of.error}</span>}
      </span>
    ),
  },
  {
    header: t("Waiting"),
    accessorKey: "waiting",
    meta: { right: true },
    cell: ({ row }) => count(row.original.waiting),
  },
  { header: t("Delivered"), accessorKey: "delivered_at", cell: ({ row }) => <Time at={row.original.delivered_at} /> },
];

function stepsColumn(
  administers: boolean,
  operates: boolean,
  show: (id: string) => void,
  ask: (asking: Asking) => void,
): ColumnDef<Webhook, unknown> {
  return {
    id: "steps",
    header: "",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row }) => <Steps of={row.original} {...{ administers, operates, show, ask }} />,
  };
}

interface StepsProps {
  of: Webhook;
  administers: boolean;
  operates: boolean;
  show: (id: string) => void;
  ask: (asking: Asking) => void;
}

function Steps({ of, administers, operates, show, ask }: StepsProps) {
  const work = useWork(["webhooks"]);
  const test = async () => {
    const attempt = await testWebhook(of.id);
    return t("The test event was {outcome}: {attempt}.", { outcome: attempt.outcome, attempt: answerInWords(attempt) });
  };
  const pause = async () => {
    await changeWebhook(of.id, { enabled: !of.enabled });
    return of.enabled
      ? t("{url} is paused: events wait for it.", { url: of.url })
      : t("{url} gets events again.", { url: of.url });
  };
  return (
    <span className="flex flex-wrap justify-end gap-1.5">
      <Button onClick={() => show(of.id)}>{t("Deliveries")}</Button>
      {operates && <Button onClick={() => work.mutate(test)}>{t("Test")}</Button>}
      {administers && (
        <>
          <Button onClick={() => work.mutate(pause)}>{of.enabled ? t("Pause") : t("Resume")}</Button>
          <Button onClick={() => ask({ kind: "rotate", of })}>{t("New secret…")}</Button>
          <Button look="danger" onClick={() => ask({ kind: "remove", of })}>
            {t("Remove…")}
          </Button>
        </>
      )}
    </span>
  );
}
