import {
  type ColumnDef,
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  type SortingState,
  useReactTable,
} from "@tanstack/react-table";
import { ArrowDown, ArrowUp } from "lucide-react";
import { Fragment, type KeyboardEvent, type ReactNode, useState } from "react";
import { t } from "~/words/language";
import { zone } from "~/words/zones";
import { ExportCsv } from "./ExportCsv";
import { type Layout, sortOf, sortText, widened, widthsOf } from "./layout";
import { ResizeHandle } from "./ResizeHandle";
import { cx } from "./styles";

interface Props<T> {
  /** What the table is, for those who do not see it. */
  label: string;
  rows: readonly T[];
  columns: ColumnDef<T, unknown>[];
  id?: (row: T) => string;
  /** What a click or Enter on a row does. */
  onOpen?: (row: T) => void;
  chosen?: (row: T) => boolean;
  sortedBy?: SortingState;
  /** Shown in place of rows when there are none. */
  empty?: ReactNode;
  /** Offers the rows as CSV below the table. */
  exported?: boolean;
  /** Order and widths that somebody chose, and where a change of them goes; without it the table keeps its order itself. */
  layout?: Layout;
  onLayout?: (changed: Layout) => void;
  /** Rows become cards where a phone has no room for columns; "labelled" ones say of each figure what its column is. */
  cards?: boolean | "labelled";
  /** What stands below a row, over its whole width; nothing below the others. */
  below?: (row: T) => ReactNode;
}

/** A table that sorts by its headings and opens rows by click or Enter. A column's `meta.right` aligns figures. */
export function Table<T>({
  label,
  rows,
  columns,
  id,
  onOpen,
  chosen,
  sortedBy = [],
  empty,
  exported,
  layout,
  onLayout,
  cards,
  below,
}: Props<T>) {
  const [ownSorting, setOwnSorting] = useState<SortingState>(sortedBy);
  const sorting = layout ? sortOf(layout) : ownSorting;
  const widths = widthsOf(layout ?? {});
  const table = useReactTable({
    data: rows as T[],
    columns,
    state: { sorting },
    // There are no pages; going back to the first after each change of rows, columns or order would render again for ever.
    autoResetPageIndex: false,
    onSortingChange: (changed) => {
      const next = typeof changed === "function" ? changed(sorting) : changed;
      if (layout) onLayout?.({ ...layout, sort: sortText(next) });
      else setOwnSorting(next);
    },
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    ...(id ? { getRowId: id } : {}),
  });
  const labelled = cards === "labelled";
  const open = (row: T) => (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.target === event.currentTarget) onOpen?.(row);
  };
  return (
    <div className="overflow-x-auto">
      <table
        aria-label={label}
        className={cx("w-full border-collapse text-left", cards && "max-sm:block")}
        {...(cards && { role: "table" })}
      >
        <thead className={cx(cards && "max-sm:sr-only")} {...(cards && { role: "rowgroup" })}>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} className="border-b text-soft text-xs">
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                const title = flexRender(header.column.columnDef.header, header.getContext());
                return (
                  <th
                    key={header.id}
                    scope="col"
                    aria-sort={sorted ? (sorted === "asc" ? "ascending" : "descending") : undefined}
                    className={cx(
                      "relative px-3 py-2 font-medium",
                      isRight(header.column.columnDef.meta) && "text-right",
                    )}
                    style={widthStyle(widths[header.id])}
                  >
                    {header.column.getCanSort() && header.column.columnDef.header ? (
                      <button
                        type="button"
                        className="inline-flex cursor-pointer items-center gap-1 hover:text-ink"
                        onClick={header.column.getToggleSortingHandler()}
                      >
                        {title}
                        {sorted === "asc" && <ArrowUp aria-hidden size={12} />}
                        {sorted === "desc" && <ArrowDown aria-hidden size={12} />}
                      </button>
                    ) : (
                      title
                    )}
                    {layout && onLayout && (
                      <ResizeHandle
                        name={String(header.column.columnDef.header)}
                        chosen={widths[header.id]}
                        onWidth={(px) => onLayout({ ...layout, widths: widened(layout, header.id, px) })}
                      />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody className={cx(cards && "max-sm:block")} {...(cards && { role: "rowgroup" })}>
          {table.getRowModel().rows.map((row) => (
            <Fragment key={row.id}>
              <tr
                {...(cards && { role: "row" })}
                tabIndex={onOpen ? 0 : undefined}
                aria-selected={chosen ? chosen(row.original) : undefined}
                onClick={onOpen && (() => onOpen(row.original))}
                onKeyDown={onOpen && open(row.original)}
                className={cx(
                  "border-b last:border-0",
                  cards &&
                    (labelled
                      ? "max-sm:grid max-sm:grid-cols-2 max-sm:gap-x-3 max-sm:gap-y-1.5 max-sm:px-4 max-sm:py-2.5"
                      : "max-sm:flex max-sm:flex-wrap max-sm:items-center max-sm:gap-x-3 max-sm:gap-y-1 max-sm:px-4 max-sm:py-2.5"),
                  onOpen && "cursor-pointer hover:bg-raised",
                  chosen?.(row.original) && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
                )}
              >
                {row.getVisibleCells().map((cell, n) => (
                  <td
                    key={cell.id}
                    {...(cards && { role: "cell" })}
                    data-column={labelled && n > 0 ? nameIn(cell.column.columnDef.header) : undefined}
                    className={cx(
                      "px-3 py-2 align-middle",
                      isRight(cell.column.columnDef.meta) && "text-right",
                      cards && "max-sm:min-w-0 max-sm:p-0",
                      labelled && n > 0 && NAMED,
                      labelled && n === 0 && "max-sm:col-span-2",
                      widths[cell.column.id] !== undefined && "overflow-hidden",
                    )}
                    style={widthStyle(widths[cell.column.id])}
                  >
                    {flexRender(cell.column.columnDef.cell, cell.getContext())}
                  </td>
                ))}
              </tr>
              {below && <Below columns={row.getVisibleCells().length}>{below(row.original)}</Below>}
            </Fragment>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && empty}
      {rows.length > 0 && (exported || timed(rows[0])) && (
        <p className="flex items-center justify-end gap-4 border-t px-3 py-1 text-soft text-xs">
          {timed(rows[0]) && <span className="mr-auto py-1">{t("Times in {zone}", { zone: zone() })}</span>}
          {exported && <ExportCsv label={label} rows={rows as readonly object[]} />}
        </p>
      )}
    </div>
  );
}

/** What a figure in a card is: the heading of its column, shown by CSS, since those who do not see it hear it anyway. */
function nameIn(header: unknown): string | undefined {
  return typeof header === "string" && header !== "" ? header : undefined;
}

const NAMED =
  "max-sm:text-left max-sm:[&_.items-end]:items-start max-sm:before:block max-sm:before:text-soft max-sm:before:text-xs max-sm:before:content-[attr(data-column)]";

function Below({ columns, children }: { columns: number; children: ReactNode }) {
  if (!children) return null;
  return (
    <tr className="border-b">
      <td colSpan={columns}>{children}</td>
    </tr>
  );
}

/** As wide as somebody chose, also where a cell would rather be wider. */
function widthStyle(px: number | undefined) {
  return px === undefined ? undefined : { width: px, minWidth: px, maxWidth: px };
}

/** Whether a row has an instant, which its cells then show in the zone that was chosen. */
function timed(row: unknown): boolean {
  return Object.values(row ?? {}).some((each) => typeof each === "string" && INSTANT.test(each));
}

const INSTANT = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;

function isRight(meta: unknown): boolean {
  return typeof meta === "object" && meta !== null && "right" in meta && meta.right === true;
}
