import { t } from "~/words/language";
import { count, percent } from "~/words/numbers";
import type { Tried } from "./draft";
import { funnel } from "./preview";

/** Events read, matched, new, changed: each as a bar, as wide as the square root of its share. */
export function PreviewFunnel({ tried }: { tried: Tried }) {
  return (
    <ol aria-label={t("From events read to decisions changed")} className="flex flex-col gap-1.5">
      {funnel(tried).map((stage) => (
        <li key={stage.name} className="grid grid-cols-[6.5rem_1fr] items-center gap-3">
          <span className="font-medium">{stage.name}</span>
          <span className="flex min-w-0 items-center gap-2">
            <span
              aria-hidden
              className="h-6 shrink-0 rounded-r bg-accent"
              style={{ width: `${Math.max(stage.count ? 0.4 : 0, 55 * stage.width)}%` }}
            />
            <span className="figure whitespace-nowrap font-semibold">{count(stage.count)}</span>
            <span className="min-w-0 truncate text-soft text-xs">
              {stage.share !== null && `${percent(stage.share)} · `}
              {stage.about}
            </span>
          </span>
        </li>
      ))}
    </ol>
  );
}
