import {
  type ColumnDef,
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  type SortingState,
  useReactTable,
} from "@tanstack/react-table";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useState } from "react";
import { ExportCsv } from "./ExportCsv";
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
}

/** A table that sorts by its headings and opens rows by click or Enter. A column's `meta.right` aligns figures. */
export function Table<T>({ label, rows, columns, id, onOpen, chosen, sortedBy = [], empty, exported }: Props<T>) {
  const [sorting, setSorting] = useState<SortingState>(sortedBy);
  const table = useReactTable({
    data: rows as T[],
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    ...(id ? { getRowId: id } : {}),
  });
  const open = (row: T) => (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.target === event.currentTarget) onOpen?.(row);
  };
  return (
    <div className="overflow-x-auto">
      <table aria-label={label} className="w-full border-collapse text-left">
        <thead>
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
                    className={cx("px-3 py-2 font-medium", isRight(header.column.columnDef.meta) && "text-right")}
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
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr
              key={row.id}
              tabIndex={onOpen ? 0 : undefined}
              aria-selected={chosen ? chosen(row.original) : undefined}
              onClick={onOpen && (() => onOpen(row.original))}
              onKeyDown={onOpen && open(row.original)}
              className={cx(
                "border-b last:border-0",
                onOpen && "cursor-pointer hover:bg-raised",
                chosen?.(row.original) && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
              )}
            >
              {row.getVisibleCells().map((cell) => (
                <td
                  key={cell.id}
                  className={cx("px-3 py-2 align-middle", isRight(cell.column.columnDef.meta) && "text-right")}
                >
                  {flexRender(cell.column.columnDef.cell, cell.getContext())}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && empty}
      {exported && rows.length > 0 && (
        <p className="border-t px-2 py-1 text-right">
          <ExportCsv label={label} rows={rows as readonly object[]} />
        </p>
      )}
    </div>
  );
}

function isRight(meta: unknown): boolean {
  return typeof meta === "object" && meta !== null && "right" in meta && meta.right === true;
}
