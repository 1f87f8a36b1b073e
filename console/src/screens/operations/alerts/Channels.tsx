import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { useWork } from "~/api/work";
import { useMay } from "~/session/session";
import { Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count } from "~/words/numbers";
import { AddChannel, EditChannel, RemoveChannel } from "./ChannelDialogs";
import {
  type ChannelRow,
  type ChannelSetup,
  type ChannelStatus,
  changeChannel,
  targetOf,
  testChannel,
  useChannels,
  withStatus,
} from "./channels";

const TONES = { active: "good", paused: "plain", overridden: "warn" } as const;

const NOBODY: Record<string, string> = {
  defaults: t(
    "No alert is raised yet: the default rules are in force as soon as there is a channel. The setting alerts names rules of your own.",
  ),
  none: t("No alert is raised: give the worker and this service the setting alerts, a file or “defaults”."),
};

type Asking = "add" | { kind: "edit" | "remove"; of: ChannelSetup };

/** Where alerts go, and how that fares; administrators set channels up. */
export function Channels({ statuses, about }: { statuses: readonly ChannelStatus[]; about?: string }) {
  const may = useMay(""); // in force for all detectors: a role for some of them is not enough
  const administers = may("administer");
  const operates = administers || may("operate");
  const setup = useChannels(operates || may("audit")).data;
  const [asking, ask] = useState<Asking>();
  const close = () => ask(undefined);
  const nobody = setup?.delivered_by === "nobody" ? NOBODY[setup.rules] : undefined;
  return (
    <>
      <Panel
        title={t("Channels")}
        about={nobody ?? about}
        flush
        actions={
          administers && (
            <Button look="main" onClick={() => ask("add")}>
              {t("Add a channel…")}
            </Button>
          )
        }
      >
        <Table
          label={t("Channels")}
          exported
          rows={withStatus(statuses, setup?.channels)}
          columns={operates ? [...COLUMNS, stepsColumn(administers, ask)] : COLUMNS}
          id={(row) => `${row.setup?.source ?? ""}:${row.name}`}
          empty={
            <Empty title={t("No channel is set up")}>
              {t("Alerts are shown here and on the live page, and not delivered.")}
            </Empty>
          }
        />
      </Panel>
      {asking === "add" && <AddChannel onClose={close} />}
      {typeof asking === "object" && asking.kind === "edit" && <EditChannel of={asking.of} onClose={close} />}
      {typeof asking === "object" && asking.kind === "remove" && <RemoveChannel of={asking.of} onClose={close} />}
    </>
  );
}

const COLUMNS: ColumnDef<ChannelRow, unknown>[] = [
  {
    header: t("Channel"),
    accessorKey: "name",
    cell: ({ row: { original: of } }) => (
      <span className="flex min-w-0 flex-col items-start gap-1">
        <span className="font-medium">{of.name}</span>
        {of.setup && <span className="break-all text-soft text-xs">{targetOf(of.setup)}</span>}
        {of.setup?.source === "file" && <Badge>{t("from the file")}</Badge>}
        {of.setup?.source === "page" && (
          <Badge tone={TONES[of.setup.state as keyof typeof TONES]}>{of.setup.state}</Badge>
        )}
      </span>
    ),
  },
  { header: t("Kind"), accessorKey: "kind" },
  { header: t("Minimum severity"), accessorKey: "severity" },
  {
    header: t("Pending"),
    accessorKey: "waiting",
    meta: { right: true },
    cell: ({ row }) => count(row.original.waiting),
  },
  { header: t("Delivered"), accessorKey: "delivered_at", cell: ({ row }) => <Time at={row.original.delivered_at} /> },
  { header: t("Failed"), accessorKey: "failed_at", cell: ({ row }) => <Time at={row.original.failed_at} /> },
  {
    header: t("Last error"),
    accessorKey: "error",
    cell: ({ row }) => (
      <span className={row.original.error ? "text-block" : "text-soft"}>{row.original.error ?? "–"}</span>
    ),
  },
];

function stepsColumn(administers: boolean, ask: (asking: Asking) => void): ColumnDef<ChannelRow, unknown> {
  return {
    id: "steps",
    header: "",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row }) => row.original.setup && <Steps of={row.original.setup} {...{ administers, ask }} />,
  };
}

interface StepsProps {
  of: ChannelSetup;
  administers: boolean;
  ask: (asking: Asking) => void;
}

function Steps({ of, administers, ask }: StepsProps) {
  const work = useWork(["channels"], ["deliveries"]);
  const paused = of.state === "paused";
  const pause = async () => {
    await changeChannel(of.name, { enabled: paused });
    return paused ? t("{name} gets alerts again.", { name: of.name }) : t("{name} is paused.", { name: of.name });
  };
  return (
    <span className="flex flex-wrap justify-end gap-1.5">
      <Button onClick={() => work.mutate(() => testChannel(of.name))}>{t("Test")}</Button>
      {administers && of.source === "page" && (
        <>
          <Button onClick={() => work.mutate(pause)}>{paused ? t("Resume") : t("Pause")}</Button>
          <Button onClick={() => ask({ kind: "edit", of })}>{t("Edit…")}</Button>
          <Button look="danger" onClick={() => ask({ kind: "remove", of })}>
            {t("Remove…")}
          </Button>
        </>
      )}
    </span>
  );
}
