import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { useState } from "react";
import { useMay } from "~/session/session";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { UNKNOWN, words } from "~/words/numbers";
import { metricName } from "./metrics";
import { type Models, newestFirst, type Trial, type Version } from "./queries";
import { type Asked, StepDialog } from "./StepDialog";

const SHOWN = ["average_precision", "roc_auc", "recall_at_fpr_0.01", "brier"] as const;

interface Asking {
  version: string;
  kind: Asked;
}

/** Every version with its figures, what it does now, and what can be done with it. */
export function VersionsPanel({ name, models }: { name: string; models: Models }) {
  const [asking, setAsking] = useState<Asking>();
  const mayStep = useMay(name)("approve");
  return (
    <>
      <Panel title={t("Versions")} about={t("Figures are of the test that each was trained with, newest first.")} flush>
        <Table
          label={t("Versions of the models")}
          cards="labelled"
          exported
          rows={newestFirst(models.versions)}
          columns={columns(models, mayStep ? setAsking : undefined)}
          id={(row) => row.version}
        />
      </Panel>
      <History trials={models.trials} />
      {asking && (
        <StepDialog name={name} fourEyes={models.four_eyes} {...asking} onClose={() => setAsking(undefined)} />
      )}
    </>
  );
}

function columns(models: Models, ask: ((asking: Asking) => void) | undefined): ColumnDef<Version, unknown>[] {
  const shown = SHOWN.filter((figure) => models.versions.some((version) => version.figures[figure] != null));
  return [
    {
      id: "version",
      header: t("Version"),
      accessorKey: "version",
      cell: ({ row }) => (
        <Link
          to="/models"
          search={{ tab: "evaluation", version: row.original.version }}
          className="font-mono text-accent underline"
        >
          {row.original.version}
        </Link>
      ),
    },
    {
      id: "created",
      header: t("Trained"),
      accessorKey: "created_at",
      cell: ({ row }) => <Time at={row.original.created_at} />,
    },
    {
      id: "state",
      header: t("Now"),
      enableSorting: false,
      cell: ({ row }) => <State models={models} version={row.original} />,
    },
    ...shown.map(
      (figure): ColumnDef<Version, unknown> => ({
        id: figure,
        header: metricName(figure),
        accessorFn: (version) => version.figures[figure],
        meta: { right: true },
        cell: ({ row }) => row.original.figures[figure]?.toFixed(4) ?? UNKNOWN,
      }),
    ),
    ...(ask ? [stepsColumn(models, ask)] : []),
  ];
}

function stepsColumn(models: Models, ask: (asking: Asking) => void): ColumnDef<Version, unknown> {
  return {
    id: "steps",
    header: "",
    enableSorting: false,
    meta: { right: true },
    cell: ({ row }) => <Steps models={models} version={row.original.version} ask={ask} />,
  };
}

function State({ models, version }: { models: Models; version: Version }) {
  const trial = running(models, version.version);
  return (
    <span className="flex flex-wrap gap-1">
      {models.champion === version.version && <Badge tone="good">{t("Champion (live)")}</Badge>}
      {trial?.state === "shadow" && <Badge tone="info">{t("in shadow")}</Badge>}
      {trial?.state === "rollout" && (
        <Badge tone="warn">{t("live for {percent} % of {of}", { percent: trial.percent, of: trial.of })}</Badge>
      )}
      {models.pending.some((each) => each.name === version.version) && (
        <Badge tone="warn">{t("waits for approval")}</Badge>
      )}
    </span>
  );
}

function running(models: Models, version: string): Trial | undefined {
  return models.running.find((trial) => trial.version === version);
}

function Steps({ models, version, ask }: { models: Models; version: string; ask: (asking: Asking) => void }) {
  const trial = running(models, version);
  const isChampion = models.champion === version;
  const goesBack = isChampion && models.trials.some((each) => each.version === version && each.state === "promoted");
  const step = (kind: Asked, text: string) => (
    <Button look={kind === "rollback" || kind === "undo" ? "danger" : "plain"} onClick={() => ask({ version, kind })}>
      {text}
    </Button>
  );
  return (
    <span className="flex flex-wrap justify-end gap-1.5">
      {!isChampion && !trial && models.running.length < models.most && step("shadow", t("Shadow"))}
      {!isChampion && trial?.state !== "rollout" && step("rollout", t("Roll out"))}
      {!isChampion && step("promote", t("Promote"))}
      {trial && step("rollback", trial.state === "shadow" ? t("End shadow") : t("Roll back"))}
      {goesBack && step("undo", t("Roll back"))}
    </span>
  );
}

function History({ trials }: { trials: readonly Trial[] }) {
  const columnsOfTrials: ColumnDef<Trial, unknown>[] = [
    { id: "since", header: t("Began"), accessorKey: "since", cell: ({ row }) => <Time at={row.original.since} /> },
    {
      id: "version",
      header: t("Version"),
      accessorKey: "version",
      cell: ({ row }) => <code>{row.original.version}</code>,
    },
    { id: "state", header: t("State"), accessorKey: "state", cell: ({ row }) => words(row.original.state) },
    { id: "who", header: t("By"), accessorKey: "who" },
    { id: "note", header: t("Note"), accessorKey: "note", enableSorting: false },
    {
      id: "ended",
      header: t("Ended"),
      accessorKey: "ended_at",
      cell: ({ row }) => <Time at={row.original.ended_at} />,
    },
    {
      id: "reason",
      header: t("Reason"),
      enableSorting: false,
      cell: ({ row }) => (row.original.reason ? `${row.original.reason} (${row.original.ended_by})` : UNKNOWN),
    },
  ];
  return (
    <Panel title={t("Deployment history")} about={t("Everything that was tried, by whom, and how it ended.")} flush>
      <Table
        label={t("Deployment history")}
        exported
        rows={trials}
        columns={columnsOfTrials}
        id={(row) => row.id}
        empty={<p className="px-4 py-6 text-soft">{t("Nothing was tried yet: let a version score in shadow.")}</p>}
      />
    </Panel>
  );
}
