import { type ReactNode, useId } from "react";
import { cx } from "./styles";

interface Props {
  title?: ReactNode;
  /** One line under the title: what it shows, over which time, by which measure. */
  about?: ReactNode;
  /** What one can do with it, at the right of the title. */
  actions?: ReactNode;
  /** Tables and lists go to the edge. */
  flush?: boolean;
  className?: string;
  children: ReactNode;
}

/** A titled part of a page. */
export function Panel({ title, about, actions, flush, className, children }: Props) {
  const id = useId();
  return (
    <section
      aria-labelledby={title ? id : undefined}
      className={cx("min-w-0 break-inside-avoid-page rounded-lg border bg-panel print:border-0", className)}
    >
      {title && (
        <header className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-3 pb-2">
          <div className="min-w-0 flex-1 basis-36">
            <h2 id={id} className="font-semibold text-[15px]">
              {title}
            </h2>
            {about && <p className="text-soft text-xs">{about}</p>}
          </div>
          {actions && <div className="flex flex-wrap items-center gap-2 print:hidden">{actions}</div>}
        </header>
      )}
      <div className={flush ? "overflow-x-auto" : cx("px-4 pb-4", !title && "pt-4")}>{children}</div>
    </section>
  );
}
