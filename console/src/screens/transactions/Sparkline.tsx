import type { Context } from "~/api/transactions";
import { t } from "~/words/language";
import { count, plural } from "~/words/numbers";
import { duration } from "~/words/times";

type Line = Context["entities"][number]["sparkline"];
const WIDTH = 240;
const HEIGHT = 36;

/** Decisions about a key over time, as small bars; what was stopped stands in front. */
export function Sparkline({ of: line }: { of: Line }) {
  const largest = Math.max(1, ...line.counts);
  const wide = WIDTH / Math.max(1, line.counts.length);
  const sum = line.counts.reduce((total, each) => total + each, 0);
  const span = duration(line.step * line.counts.length);
  if (sum === 0)
    return <p className="mt-2 border-t pt-1 text-soft text-xs">{t("No decision in the last {span}", { span })}</p>;
  const bar = (n: number, of: number, colour: string) => (
    <rect
      key={`${colour} ${n}`}
      x={n * wide + 0.5}
      width={Math.max(1, wide - 1)}
      y={HEIGHT - (HEIGHT * of) / largest}
      height={(HEIGHT * of) / largest}
      fill={`var(--${colour})`}
    />
  );
  return (
    <figure className="mt-2">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        className="h-9 w-full border-b"
        role="img"
        aria-label={t("{sum} within {span}, at most {largest} in {step}", {
          sum: plural(sum, "decision"),
          span,
          largest: count(largest),
          step: duration(line.step),
        })}
      >
        {line.counts.map((each, n) => bar(n, each, "accent"))}
        {line.stopped.map((each, n) => bar(n, each, "block"))}
      </svg>
      <figcaption className="flex justify-between gap-2 text-soft text-xs">
        <span>{t("{span} before", { span })}</span>
        <span>
          {t("{sum}, at most {largest} in {step}", {
            sum: plural(sum, "decision"),
            largest: count(largest),
            step: duration(line.step),
          })}
        </span>
        <span>{t("now")}</span>
      </figcaption>
    </figure>
  );
}
