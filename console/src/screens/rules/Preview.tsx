import { type ReactNode, useState } from "react";
import { Empty, told } from "~/ui/Asked";
import { Choice } from "~/ui/Choice";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { useCurrency } from "./books";
import { Consequences } from "./Consequences";
import { type Draft, type Tried, useTried } from "./draft";
import { PreviewExamples } from "./PreviewExamples";
import { PreviewFigures } from "./PreviewFigures";
import { PreviewFunnel } from "./PreviewFunnel";
import { PreviewOverlap } from "./PreviewOverlap";
import { PreviewTruth } from "./PreviewTruth";

const DAYS = ["1", "7", "30", "90"] as const;

interface Props {
  detector: string;
  draft: Draft;
  /** The condition can be read, so it can be tried. */
  readable: boolean;
  /** It would be a version of a rule that is there. */
  version: boolean;
}

/** What the rule would have done to what was recorded; it follows what is written, and stays while the next answer comes. */
export function Preview({ detector, draft, readable, version }: Props) {
  const [days, setDays] = useState<(typeof DAYS)[number]>("30");
  const tried = useTried(detector, draft, Number(days), readable, version);
  const currency = useCurrency(detector);
  const waiting = tried.isFetching || (readable && tried.isPlaceholderData);
  return (
    <Panel
      title={t("Backtest")}
      about={<About tried={tried.data} waiting={waiting} />}
      actions={
        <Choice
          label={t("Days")}
          options={DAYS.map((value) => ({ value, name: value === "1" ? t("1 day") : `${value} d` }))}
          value={days}
          onChange={setDays}
        />
      }
    >
      <div
        aria-busy={waiting}
        className={cx("flex min-h-[34rem] flex-col gap-5", (waiting || !readable) && "opacity-60")}
      >
        {tried.isError && !tried.data ? (
          <Nothing>{told(tried.error)}</Nothing>
        ) : tried.data && draft.when.trim() !== "" ? (
          <>
            {tried.isError && <p className="text-review">{told(tried.error)}</p>}
            <Consequences tried={tried.data} />
            <PreviewFunnel tried={tried.data} />
            <PreviewFigures tried={tried.data} currency={currency} />
            <PreviewTruth tried={tried.data} />
            <PreviewOverlap detector={detector} tried={tried.data} />
            <PreviewExamples tried={tried.data} currency={currency} />
            <Notes tried={tried.data} />
          </>
        ) : (
          <Nothing>
            {waiting ? t("Asking what was recorded …") : t("Enter a valid condition to backtest it on recent traffic.")}
          </Nothing>
        )}
      </div>
    </Panel>
  );
}

function About({ tried, waiting }: { tried: Tried | undefined; waiting: boolean }) {
  if (waiting) return <span role="status">{t("Trying it on what was recorded …")}</span>;
  if (!tried) return <span role="status">{t("Nothing has been tried yet.")}</span>;
  return (
    <span role="status">
      {tried.since === tried.until
        ? `${tried.since ?? t("no day")}`
        : t("{since} to {until}", { since: tried.since, until: tried.until })}
      {t(", {days} with decisions (UTC); took {value} s.", {
        days: plural(tried.days, "day"),
        value: tried.seconds.toFixed(1),
      })}
    </span>
  );
}

function Nothing({ children }: { children: ReactNode }) {
  return <Empty title={t("No preview")}>{children}</Empty>;
}

function Notes({ tried }: { tried: Tried }) {
  if (tried.notes.length === 0) return null;
  return (
    <section aria-labelledby="preview-notes">
      <h3 id="preview-notes" className="font-medium">
        {t("Caveats")}
      </h3>
      <ul className="list-disc pl-5 text-soft">
        {tried.notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </section>
  );
}
