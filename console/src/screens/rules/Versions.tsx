import { getRouteApi, Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";
import { useMay } from "~/session/session";
import { Select } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { Table } from "~/ui/Table";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import type { RuleVersion } from "./books";
import { Diff } from "./Diff";
import { StateMark } from "./State";
import { VersionSteps } from "./StepButtons";

const route = getRouteApi("/rules/$detectorName/$rule");

interface Props {
  detector: string;
  versions: readonly RuleVersion[];
  /** The version whose steps stand at the top of the page. */
  next: number | undefined;
}

/** Every version that was ever written, and what one says otherwise than another. */
export function Versions({ detector, versions, next }: Props) {
  const { before, after } = route.useSearch();
  const { rule } = route.useParams();
  const may = useMay(detector);
  const author = may("author");
  const columns = useMemo(() => columnsFor(author, detector, next), [author, detector, next]);
  const numbers = versions.map((each) => each.version);
  const second = after && numbers.includes(after) ? after : (numbers[0] ?? 1);
  const first = before && numbers.includes(before) ? before : second - 1;
  return (
    <Panel title={t("Versions")} about={t("The newest first; nothing is ever overwritten.")} flush>
      <Table<RuleVersion>
        exported
        label={t("Versions")}
        rows={versions}
        columns={columns}
        id={(row) => String(row.version)}
      />
      {numbers.length > 1 && (
        <section aria-label={t("Difference")} className="flex flex-col gap-3 border-t p-4">
          <div className="flex flex-wrap items-end gap-3">
            <Chooser name="before" label={t("What changed from")} numbers={numbers} value={first} />
            <Chooser name="after" label={t("to")} numbers={numbers} value={second} />
          </div>
          <Diff detector={detector} rule={rule} before={first} after={second} />
        </section>
      )}
    </Panel>
  );
}

function Chooser({
  name,
  label,
  numbers,
  value,
}: {
  name: "before" | "after";
  label: string;
  numbers: readonly number[];
  value: number;
}) {
  const navigate = route.useNavigate();
  return (
    <Select
      label={label}
      value={value}
      onChange={(event) =>
        void navigate({ search: (kept) => ({ ...kept, [name]: Number(event.target.value) }), resetScroll: false })
      }
    >
      {numbers.map((number) => (
        <option key={number} value={number}>
          {t("version {number}", { number })}
        </option>
      ))}
    </Select>
  );
}

function columnsFor(author: boolean, detector: string, next: number | undefined): ColumnDef<RuleVersion, unknown>[] {
  return [
    { id: "version", header: t("Version"), accessorKey: "version" },
    {
      id: "state",
      header: t("State"),
      accessorKey: "state",
      cell: ({ row }) => <StateMark of={row.original.state} rollout={row.original.rollout} />,
    },
    {
      id: "changed",
      header: t("Changed"),
      enableSorting: false,
      accessorFn: (row) => (row.changed ? Object.keys(row.changed).map(words).join(", ") || "nothing" : t("the first")),
    },
    {
      id: "written",
      header: t("Written"),
      accessorKey: "written_at",
      cell: ({ row }) => (
        <span className="whitespace-nowrap">
          <Time at={row.original.written_at} />{" "}
          <span className="text-soft">{t("by {author}", { author: row.original.author })}</span>
        </span>
      ),
    },
    {
      id: "since",
      header: t("In this state since"),
      accessorKey: "since",
      cell: ({ row }) => (
        <span className="whitespace-nowrap">
          <Time at={row.original.since} />{" "}
          <span className="text-soft">{t("by {changed_by}", { changed_by: row.original.changed_by })}</span>
        </span>
      ),
    },
    {
      id: "note",
      header: t("Note"),
      enableSorting: false,
      accessorKey: "note",
      cell: ({ row }) => <span className="break-words">{row.original.note || "–"}</span>,
    },
    {
      id: "use",
      header: "",
      cell: ({ row: { original } }) => (
        <span className="flex items-center justify-end gap-1">
          {original.version !== next && <VersionSteps detector={detector} version={original} />}
          {author && (
            <Link
              to="/rules/$detectorName/$rule"
              params={{ detectorName: detector, rule: original.rule }}
              search={(kept) => ({ ...kept, edit: original.version })}
              className="whitespace-nowrap px-2 text-accent hover:underline"
            >
              {t("Start from {version}", { version: original.version })}
            </Link>
          )}
        </span>
      ),
    },
  ];
}
