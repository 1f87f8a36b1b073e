import { type Asking, type Distributions as Found, useDistributions } from "~/api/insights";
import { Histogram, OUTLINES } from "~/charts/Histogram";
import { Legend } from "~/charts/Legend";
import { all, localHours, stopped } from "~/charts/series";
import { Failed, Waiting } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { count, money, percent } from "~/words/numbers";
import { offsetMs, zone } from "~/words/zones";

const HEIGHT = 190;

/** How the decisions of the range are spread: by score, amount, category and hour. */
export function Distributions({ asking }: { asking: Asking }) {
  const { data, isError, error, refetch } = useDistributions(asking);
  if (isError && !data) return <Failed error={error} again={() => void refetch()} />;
  return (
    <div className={cx("grid gap-4 md:grid-cols-2", !data?.category && "xl:grid-cols-3")}>
      <Spread title={t("Score")} about={t("Decisions by probability of fraud")} of={data?.score.bins.length}>
        {data && <Scores of={data} />}
      </Spread>
      <Spread
        title={t("Amount")}
        about={t("Decisions by transaction amount")}
        of={data?.amount?.bins.length}
        none={t("Events say no amount.")}
      >
        {data?.amount && <Amounts of={data.amount} />}
      </Spread>
      <Spread
        title={t("Hour of the day")}
        about={t("Decisions by the hour they were made in")}
        of={data?.hour.bins.length}
      >
        {data && <Hours of={data} />}
      </Spread>
      {data?.category && (
        <Spread
          title={`Category: ${data.category.field}`}
          about={t("The most frequent, with the share that was stopped")}
          of={data.category.values.length}
        >
          <Categories of={data.category} />
        </Spread>
      )}
    </div>
  );
}

interface SpreadProps {
  title: string;
  about: string;
  /** How many bins there are; undefined where that is not known or there are none to have. */
  of: number | undefined;
  none?: string;
  children: React.ReactNode;
}

function Spread({ title, about, of: bins, none, children }: SpreadProps) {
  return (
    <Panel title={title} about={about} actions={title.startsWith(t("Category")) ? undefined : <Legend of={OUTLINES} />}>
      <div style={{ height: HEIGHT }}>
        {children ||
          (none && bins === undefined ? <p className="pt-6 text-soft">{none}</p> : <Waiting height={HEIGHT} />)}
        {bins === 0 && <p className="pt-6 text-soft">{t("Nothing was decided in this time.")}</p>}
      </div>
    </Panel>
  );
}

function Scores({ of: { score } }: { of: Found }) {
  return (
    <Histogram
      label={t("Decisions by probability of fraud")}
      x={t("probability of fraud, 0 to 1")}
      bins={score.bins}
      height={HEIGHT}
      tick={(bin, n) => (n % 4 === 0 || n === score.bins.length - 1 ? bin.low.toFixed(2).replace(/0$/, "") : null)}
      name={(bin) => t("{value} to {value2}", { value: bin.low.toFixed(2), value2: bin.high.toFixed(2) })}
    />
  );
}

function Amounts({ of: amount }: { of: NonNullable<Found["amount"]> }) {
  if (amount.bins.length === 0) return null;
  return (
    <Histogram
      label={t("Decisions by amount")}
      x={amount.currency ? t("amount, {currency}", { currency: amount.currency }) : t("amount")}
      bins={amount.bins}
      height={HEIGHT}
      tick={(bin) => (isPower(bin.low) ? short(bin.low) : null)}
      name={(bin) =>
        t("{low} to {high}", { low: money(bin.low, amount.currency), high: money(bin.high, amount.currency) })
      }
    />
  );
}

function Hours({ of: { hour } }: { of: Found }) {
  return (
    <Histogram
      label={t("Decisions by hour of the day ({zoneOf})", { zoneOf: zoneOf() })}
      x={t("hour of the day, {zoneOf}", { zoneOf: zoneOf() })}
      bins={localHours(hour.bins, offset())}
      height={HEIGHT}
      tick={(bin) => (bin.hour % 3 === 0 ? String(bin.hour) : null)}
      name={(bin) => t("hour {hour}", { hour: bin.hour })}
    />
  );
}

function Categories({ of: { values } }: { of: NonNullable<Found["category"]> }) {
  const largest = Math.max(1, ...values.map(all));
  return (
    <ul
      aria-label={t("Decisions by category")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls is reached by keyboard
      tabIndex={0}
      className="flex h-full flex-col gap-1 overflow-y-auto pr-1"
    >
      {values.map((each) => (
        <li
          key={each.value ?? ""}
          className="grid grid-cols-[minmax(5rem,9rem)_1fr_3.5rem_3.5rem] items-center gap-2 text-xs"
        >
          <span className="truncate" title={each.value ?? undefined}>
            {each.value ?? "without"}
          </span>
          <span aria-hidden className="h-2 rounded-full bg-raised">
            <span
              className="block h-full rounded-full bg-accent"
              style={{ width: `${Math.max(1, (100 * all(each)) / largest)}%` }}
            />
          </span>
          <span className="figure text-right">{count(all(each))}</span>
          <span className="figure text-right text-block" title={t("stopped")}>
            {percent(all(each) ? stopped(each) / all(each) : null)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function isPower(edge: number): boolean {
  return Math.abs(Math.log10(edge) - Math.round(Math.log10(edge))) < 1e-6;
}

function short(edge: number): string {
  return new Intl.NumberFormat("en", { notation: "compact" }).format(edge);
}

/** Minutes of the viewer's zone ahead of UTC. */
function offset(): number {
  return offsetMs(new Date()) / 60_000;
}

/** The zone of the hours: the viewer's, where it differs from UTC by whole hours. */
function zoneOf(): string {
  return offset() % 60 === 0 ? zone() : "UTC";
}
