import { Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo, useState } from "react";
import type { ServedFeature } from "~/api/detectors";
import type { Decision } from "~/api/transactions";
import { Empty } from "~/ui/Asked";
import { TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";
import { quantity, UNKNOWN } from "~/words/numbers";
import { type FeatureRow, featureRows, found } from "./features";

/** Every feature as it was when the decision was made. */
export function FeaturesPanel({ decision, served }: { decision: Decision; served: readonly ServedFeature[] }) {
  const [sought, setSought] = useState("");
  const rows = useMemo(() => featureRows(decision, served), [decision, served]);
  const shown = found(rows, sought);
  return (
    <Panel
      title={t("Features")}
      about={t("{n}, as they were when it was decided", { n: rows.length })}
      flush
      actions={
        <TextField
          label={t("Find a feature")}
          hidden
          type="search"
          placeholder={t("Find a feature")}
          value={sought}
          onChange={(event) => setSought(event.target.value)}
          className="w-44"
        />
      }
    >
      <section
        aria-label={t("Features, scrolling")}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        tabIndex={0}
        className="h-96 overflow-y-auto"
      >
        <Table
          label={t("Features")}
          rows={shown}
          columns={COLUMNS}
          id={(row) => row.name}
          empty={<Empty title={t("No feature is called like “{sought}”", { sought })} />}
        />
      </section>
    </Panel>
  );
}

const COLUMNS: ColumnDef<FeatureRow, unknown>[] = [
  {
    accessorKey: "name",
    header: t("Feature"),
    cell: ({ row: { original } }) => (
      <span className="block min-w-0">
        <Link to="/features" search={{ feature: original.name }} className="hover:underline">
          {original.label}
        </Link>
        <span
          className="block max-w-[42vw] truncate font-mono text-soft text-xs sm:max-w-xs xl:max-w-sm"
          title={original.about}
        >
          {original.name}
        </span>
      </span>
    ),
  },
  {
    accessorKey: "value",
    header: t("Value"),
    meta: { right: true },
    cell: ({ row: { original } }) => quantity(original.value, original.unit),
  },
  {
    accessorKey: "contribution",
    header: t("Moved the score"),
    meta: { right: true },
    sortingFn: (one, other) => Math.abs(one.original.contribution ?? 0) - Math.abs(other.original.contribution ?? 0),
    cell: ({ row: { original } }) =>
      original.contribution === null
        ? UNKNOWN
        : `${original.contribution >= 0 ? "+" : "−"}${Math.abs(original.contribution).toFixed(2)}`,
  },
];
