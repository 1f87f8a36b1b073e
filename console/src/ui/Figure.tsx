import type { ReactNode } from "react";

interface Props {
  name: string;
  value: ReactNode;
  /** What the value is of: over which time, of how many. */
  about?: ReactNode;
  tone?: string;
}

/** One figure with its name; several stand in `Figures`. */
export function Figure({ name, value, about, tone = "" }: Props) {
  return (
    <div className="min-w-0 rounded-lg border bg-panel px-4 py-3">
      <dt className="truncate text-soft text-xs">{name}</dt>
      <dd className={`truncate font-semibold text-xl leading-8 ${tone}`}>{value}</dd>
      <dd className="min-h-4 truncate text-soft text-xs">{about}</dd>
    </div>
  );
}

/** A row of figures. */
export function Figures({ label, children }: { label: string; children: ReactNode }) {
  return (
    <dl aria-label={label} className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-4 2xl:grid-cols-8">
      {children}
    </dl>
  );
}
