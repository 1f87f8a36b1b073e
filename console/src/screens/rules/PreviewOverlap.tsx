import { Link } from "@tanstack/react-router";
import { t } from "~/words/language";
import { count, percent } from "~/words/numbers";
import type { Tried } from "./draft";

/** Which other rules fired on what it matches. */
export function PreviewOverlap({ detector, tried }: { detector: string; tried: Tried }) {
  return (
    <section aria-labelledby="preview-overlap">
      <h3 id="preview-overlap" className="mb-1 font-medium">
        {t("Overlap with other rules")}
      </h3>
      {tried.caught_by.length === 0 ? (
        <p className="text-soft">{t("All of these are unique hits.")}</p>
      ) : (
        <ul className="flex flex-col gap-1">
          {tried.caught_by.map((each) => (
            <li key={each.rule} className="grid grid-cols-[minmax(0,14rem)_1fr_6.5rem] items-center gap-3">
              <Link
                to="/rules/$detectorName/$rule"
                params={{ detectorName: detector, rule: each.rule }}
                className="truncate text-accent hover:underline"
              >
                {each.rule}
              </Link>
              <span aria-hidden className="h-2 rounded bg-raised">
                <span
                  className="block h-2 rounded bg-accent"
                  style={{ width: `${tried.matched ? (100 * each.count) / tried.matched : 0}%` }}
                />
              </span>
              <span className="figure text-right">
                {count(each.count)}{" "}
                <span className="text-soft text-xs">{percent(tried.matched ? each.count / tried.matched : null)}</span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
