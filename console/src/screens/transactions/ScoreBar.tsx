import type { Policy } from "~/api/detectors";
import { t } from "~/words/language";
import { percent, words } from "~/words/numbers";

/** The score between 0 and 1, and the thresholds on the same line. */
export function ScoreBar({ score, policy }: { score: number | null; policy: Policy | undefined }) {
  const marks = thresholds(policy);
  return (
    <div className="mt-3 mb-1">
      <div role="img" aria-label={said(score, marks)} className="relative h-11">
        <div className="absolute inset-x-0 top-5 h-2 rounded-full bg-raised">
          {score !== null && (
            <div className="h-full rounded-full bg-ink" style={{ width: `${Math.max(0.4, 100 * score)}%` }} />
          )}
        </div>
        {marks.map((mark) => (
          <div
            key={mark.name}
            className="absolute top-3.5 h-5 border-l-2"
            style={{ left: `${100 * mark.at}%`, borderColor: `var(--${mark.colour})` }}
          >
            <span className={`-translate-x-1/2 absolute top-5 whitespace-nowrap text-xs text-${mark.colour}`}>
              {words(mark.name)} {percent(mark.at)}
            </span>
          </div>
        ))}
        <span
          className="absolute top-0 whitespace-nowrap font-semibold text-xs"
          style={
            score !== null && score > 0.6 ? { right: `${100 - 100 * score}%` } : { left: `${100 * (score ?? 0)}%` }
          }
        >
          {t("score")} {percent(score)}
        </span>
      </div>
    </div>
  );
}

function thresholds(policy: Policy | undefined) {
  if (!policy) return [];
  return [
    { name: "challenge", at: policy.challenge_at, colour: "challenge" },
    { name: "review", at: policy.review_at, colour: "review" },
    { name: "block", at: policy.block_at, colour: "block" },
  ].flatMap((mark) => (mark.at === null || mark.at > 1 ? [] : [{ ...mark, at: mark.at }]));
}

function said(score: number | null, marks: { name: string; at: number }[]): string {
  const limits = marks
    .map((mark) => t("{name} from {at}", { name: words(mark.name), at: percent(mark.at) }))
    .join(", ");
  return `${t("Score {score}", { score: score === null ? t("not known") : percent(score) })}${limits ? `; ${limits}` : ""}`;
}
