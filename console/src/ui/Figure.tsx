import type { ReactNode } from "react";
import { cx } from "./styles";

interface Props {
  name: string;
  value: ReactNode;
  /** What the value is of: over which time, of how many. Of several texts each begins a line. */
  about?: ReactNode | string[];
  tone?: string;
  /** The one figure of the page that counts most. */
  hero?: boolean;
  /** Its place in the grid. */
  className?: string;
}

/** One figure with its name; several stand in `Figures`. Nothing of it is ever cut: what is too long goes on in the next line. */
export function Figure({ name, value, about, tone = "", hero, className }: Props) {
  return (
    <div className={cx("min-w-0 rounded-lg border bg-panel px-4 py-3", className)}>
      <dt className="text-soft text-xs">{name}</dt>
      <dd className={`break-words font-semibold ${hero ? "text-4xl leading-12" : "text-xl leading-8"} ${tone}`}>
        {value}
      </dd>
      <dd className="min-h-4 break-words text-soft text-xs">{Array.isArray(about) ? about.map(line) : about}</dd>
    </div>
  );
}

function line(text: string): ReactNode {
  return (
    <span key={text} className="block">
      {text}
    </span>
  );
}

/** A row of figures. */
export function Figures({ label, children }: { label: string; children: ReactNode }) {
  return (
    <dl aria-label={label} className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-4">
      {children}
    </dl>
  );
}
