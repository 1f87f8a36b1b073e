/** A chart of columns on an axis that begins at zero: both axes have a title with the unit, and a limit is a dashed line. */

import { cx } from "~/ui/styles";
import { places, roundTop } from "./scale";

export interface Column {
  /** What stands under it, such as "19 Nov". */
  name: string;
  /** What it says in full, when it is pointed at. */
  title: string;
  /** One bar, or several side by side; the colour is one of the theme. */
  bars: readonly { colour: string; value: number }[];
}

interface Props {
  /** What it shows, for those who do not see it. */
  label: string;
  /** What is drawn upwards, with its unit, and what from left to right, with its zone where that is a time. */
  y: string;
  x: string;
  columns: readonly Column[];
  /** A value of the axis upwards, without its unit. */
  format: (value: number) => string;
  limit?: number | undefined;
  height?: number;
  /** How many names stand under the columns at most. */
  names?: number;
  /** A few columns take the whole width, each in the middle of its place and with its name below. */
  stretched?: boolean;
}

/** Columns with axes. */
export function Columns({ label, y, x, columns, format, limit, height = 120, names = 4, stretched }: Props) {
  const top = roundTop(Math.max(limit ?? 0, ...columns.flatMap((column) => column.bars.map((bar) => bar.value))));
  const named = places(columns.length, names);
  return (
    <div role="img" aria-label={label} className="grid grid-cols-[auto_auto_minmax(0,1fr)] gap-x-1.5 text-soft text-xs">
      <span className="rotate-180 text-center [writing-mode:vertical-rl]">{y}</span>
      <span className="figure flex flex-col justify-between text-right leading-none" style={{ height }}>
        {[top, top / 2, 0].map((each) => (
          <span key={each}>{format(each)}</span>
        ))}
      </span>
      <span className="relative mt-1.5 flex items-end gap-px border-b" style={{ height: height - 12 }}>
        <Line at={1} />
        <Line at={0.5} />
        {columns.map((column) => (
          <span
            key={column.title}
            title={column.title}
            className={cx("relative h-full min-w-0 flex-1", stretched ? "px-1" : "max-w-24")}
          >
            <span className={cx("mx-auto flex h-full items-end gap-px", stretched && "max-w-40")}>
              {column.bars.map((bar, n) => (
                <span
                  key={`${bar.colour} ${n}`}
                  className="min-w-0 flex-1 rounded-t-[1px]"
                  style={{
                    height: `${bar.value > 0 ? Math.max(1, (100 * bar.value) / top) : 0}%`,
                    background: `var(--${bar.colour})`,
                  }}
                />
              ))}
            </span>
          </span>
        ))}
        {limit !== undefined && <Line at={limit / top} dashed />}
      </span>
      <span className="col-start-3 flex gap-px pt-1">
        {columns.map((column, n) => (
          <span key={column.title} className={cx("relative h-4 min-w-0 flex-1", !stretched && "max-w-24")}>
            {named.includes(n) && (
              <span
                className={cx(
                  "absolute whitespace-nowrap",
                  stretched || (n > 0 && n < columns.length - 1)
                    ? "left-1/2 -translate-x-1/2"
                    : n === 0
                      ? "left-0"
                      : "right-0",
                )}
              >
                {column.name}
              </span>
            )}
          </span>
        ))}
      </span>
      <span className="col-start-3 text-center">{x}</span>
    </div>
  );
}

/** A line across at a share of the height. */
function Line({ at, dashed }: { at: number; dashed?: boolean }) {
  return (
    <span
      className={cx("absolute inset-x-0 border-t", dashed && "border-ink border-dashed")}
      style={{ bottom: `${100 * at}%` }}
    />
  );
}
