import { t } from "~/words/language";
import { count } from "~/words/numbers";
import type { Tried } from "./draft";
import { TRUTHS } from "./preview";

const MARKS: Partial<Record<keyof typeof TRUTHS, string>> = {
  young: "◔",
  untold: "?",
  fraud: "▲",
  good: "●",
  unobjected: "○",
};

/** What is known by now of what matched, and of what would change; young labels are marked, day by day as well. */
export function PreviewTruth({ tried }: { tried: Tried }) {
  const young = tried.by_day.filter((day) => day.young).length;
  return (
    <section aria-labelledby="preview-truth">
      <h3 id="preview-truth" className="mb-1 font-medium">
        {t("What is known of them")}
      </h3>
      <table className="w-full text-left">
        <thead>
          <tr className="border-b text-soft text-xs">
            <th scope="col" className="py-1 font-medium">
              {t("Truth, by now")}
            </th>
            <th scope="col" className="py-1 text-right font-medium">
              {t("Matched")}
            </th>
            <th scope="col" className="py-1 text-right font-medium">
              {t("Changed")}
            </th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(TRUTHS).map(([name, words]) => {
            const key = name as keyof typeof TRUTHS;
            return (
              <tr key={name} className="border-b last:border-0">
                <th scope="row" className="py-1 font-normal">
                  <span aria-hidden className="mr-2 inline-block w-3 text-soft">
                    {MARKS[key]}
                  </span>
                  {words}
                </th>
                <td className="py-1 text-right">{count(tried.truth[key])}</td>
                <td className="py-1 text-right">{count(tried.truth_changed[key])}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {young > 0 && (
        <p className="mt-1 text-review text-xs">
          {t("◔ Labels of")}{" "}
          {young === tried.days ? t("all these days") : t("{young} of {days} days", { young, days: tried.days })}{" "}
          {t("are incomplete: more frauds may become known.")}
        </p>
      )}
      <Days tried={tried} />
    </section>
  );
}

function Days({ tried }: { tried: Tried }) {
  if (tried.by_day.length < 2) return null;
  const most = Math.max(1, ...tried.by_day.map((day) => day.matched));
  const [first, last] = [tried.by_day[0]?.date, tried.by_day.at(-1)?.date];
  return (
    <figure className="mt-3">
      <figcaption className="mb-1 flex justify-between text-soft text-xs">
        <span>
          {t("Matched a day (UTC)")}
          {tried.by_day.some((day) => day.young) ? t("; dashed: labels incomplete") : ""}
        </span>
        <span>{t("most {most}", { most: count(most) })}</span>
      </figcaption>
      <ol aria-label={t("Matched by day")} className="flex h-16 items-end gap-px border-b">
        {tried.by_day.map((day) => (
          <li
            key={day.date}
            title={`${t("{date}: {matched} matched, {changed} changed", { date: day.date, matched: day.matched, changed: day.changed })}${day.young ? t(", labels incomplete") : ""}`}
            className={`min-w-0.5 flex-1 rounded-t ${day.young ? "border border-accent border-dashed" : "bg-accent"}`}
            style={{ height: `${Math.max(2, (100 * day.matched) / most)}%` }}
          >
            <span className="sr-only">
              {t("{date}: {matched} matched", { date: day.date, matched: day.matched })}
              {day.young ? t(", labels incomplete") : ""}
            </span>
          </li>
        ))}
      </ol>
      <p aria-hidden className="mt-1 flex justify-between text-soft text-xs">
        <span>{first}</span>
        <span>{last}</span>
      </p>
    </figure>
  );
}
