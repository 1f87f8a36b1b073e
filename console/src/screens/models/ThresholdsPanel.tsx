import { useId, useMemo, useState } from "react";
import { useCurrency } from "~/screens/rules/books";
import { useMay } from "~/session/session";
import { Button } from "~/ui/Button";
import { TextArea } from "~/ui/Field";
import { Figure, Figures } from "~/ui/Figure";
import { FormDialog, part } from "~/ui/FormDialog";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count, money, percent } from "~/words/numbers";
import { type Evaluation, type Models, type Row, useStep } from "./queries";
import { isDeclared, meaning } from "./thresholds";

const STEP = 0.005;

interface Props {
  name: string;
  models: Models;
  table: readonly Row[];
  found: Evaluation;
}

/** Drag the thresholds, see reviews, money and what would be missed on the days of the test; apply those of the champion. */
export function ThresholdsPanel({ name, models, table, found }: Props) {
  const [applying, setApplying] = useState(false);
  const may = useMay(name);
  const currency = useCurrency(name);
  const begin = { review: found.in_force.review_at ?? 0.5, block: found.in_force.block_at ?? 0.9 };
  const [at, setAt] = useState(begin);
  const now = useMemo(() => meaning(table, at.review, at.block), [table, at]);
  const before = useMemo(() => meaning(table, begin.review, begin.block), [table, begin.review, begin.block]);
  const days = found.days;
  const decides = found.version === models.champion;
  const declared = isDeclared(found);
  const moved = at.review !== begin.review || at.block !== begin.block;
  return (
    <Panel
      title={t("Thresholds")}
      about={`${
        days === null
          ? t("By score alone, without rules, on the days of the test.")
          : t("By score alone, without rules, on the {days} days of the test.", { days: days.toFixed(1) })
      } ${because(decides, declared)}`}
      actions={
        <>
          <Button disabled={!moved} onClick={() => setAt(begin)}>
            {t("Reset to current")}
          </Button>
          {decides && !declared && may("approve") && (
            <Button
              look="main"
              disabled={!moved || at.review > at.block || at.review === 0}
              onClick={() => setApplying(true)}
            >
              {t("Apply…")}
            </Button>
          )}
        </>
      }
    >
      {declared && <Declared name={name} found={found} />}
      <div className="mb-4 grid gap-4 md:grid-cols-2">
        <Slider name={t("Review from")} value={at.review} onChange={(review) => setAt({ ...at, review })} />
        <Slider name={t("Block from")} value={at.block} onChange={(block) => setAt({ ...at, block })} />
      </div>
      <Figures label={t("What these thresholds mean")}>
        <Figure name={t("Reviews a day")} value={whole(now.reviews)} about={was(whole(before.reviews))} />
        <Figure name={t("Blocks a day")} value={whole(now.blocks)} about={was(whole(before.blocks))} />
        <Figure name={t("Frauds found")} value={percent(now.recall)} about={was(percent(before.recall))} />
        <Figure name={t("Precision")} value={percent(now.precision)} about={was(percent(before.precision))} />
        <Figure
          name={t("False positive rate")}
          value={percent(now.falsePositives)}
          about={was(percent(before.falsePositives))}
        />
        <Figure
          name={t("Loss caught")}
          value={money(now.caught, currency)}
          about={was(money(before.caught, currency))}
        />
        <Figure
          name={t("Legitimate revenue stopped")}
          value={money(now.goodStopped, currency)}
          about={was(money(before.goodStopped, currency))}
        />
        <Figure
          name={t("Value detection rate")}
          value={percent(of(now.caught, found.fraud_amount))}
          about={was(percent(of(before.caught, found.fraud_amount)))}
        />
      </Figures>
      {at.review > at.block && (
        <p role="alert" className="mt-3 text-block">
          {t("Review has to begin below block, or where it does.")}
        </p>
      )}
      {applying && (
        <ApplyDialog
          name={name}
          version={found.version}
          at={at}
          fourEyes={models.four_eyes}
          changes={[
            [t("Review from"), at.review.toFixed(3), begin.review.toFixed(3)],
            [t("Block from"), at.block.toFixed(3), begin.block.toFixed(3)],
            [t("Reviews a day"), whole(now.reviews), whole(before.reviews)],
            [t("Blocks a day"), whole(now.blocks), whole(before.blocks)],
            [t("Frauds found"), percent(now.recall), percent(before.recall)],
            [t("False positive rate"), percent(now.falsePositives), percent(before.falsePositives)],
          ]}
          onClose={() => setApplying(false)}
        />
      )}
    </Panel>
  );
}

function because(decides: boolean, declared: boolean): string {
  if (declared) return t("Nothing here changes those in force.");
  return decides ? t("Nothing changes until they are applied.") : t("Only those of the champion can be applied.");
}

/** Why thresholds cannot be applied here, and what to do about it. */
function Declared({ name, found: { in_force, thresholds } }: { name: string; found: Evaluation }) {
  const given = ["review_at", "block_at"].filter((each) => in_force[each] !== thresholds[each]);
  const policy = `Policy(${given.map((each) => `${each}=${in_force[each]}`).join(", ")})`;
  return (
    <p role="note" className="mb-4 rounded-md bg-review-tint px-3 py-2 text-review">
      {t("The detector's policy declares those in force: the code of {name} has", { name })} <code>{policy}</code>
      {t(
        ", which wins over what is applied here. Leave thresholds out of it and restart the service; then every model brings its own, and Apply appears here.",
      )}
    </p>
  );
}

interface ApplyProps {
  name: string;
  version: string;
  at: { review: number; block: number };
  fourEyes: boolean;
  /** What changes: its name, its new value, the one in force. */
  changes: readonly (readonly [string, string, string])[];
  onClose: () => void;
}

/** The question before thresholds are applied: what changes, and why. */
function ApplyDialog({ name, version, at, fourEyes, changes, onClose }: ApplyProps) {
  const step = useStep(name);
  return (
    <FormDialog
      title={t("Apply thresholds")}
      about={`${t(
        'The same models decide by these thresholds within seconds, as a version of their own. "Roll back" under Versions returns to the current ones.',
      )}${fourEyes ? t(" Somebody else has to approve it.") : ""}`}
      action={t("Apply thresholds")}
      onClose={onClose}
      onSubmit={(given) =>
        step.mutateAsync({ version, step: { kind: "thresholds", note: part(given, "note") ?? "", ...at } })
      }
    >
      <table className="w-full text-left">
        <thead className="text-soft text-xs">
          <tr>
            <th scope="col" className="py-1 font-medium">
              {t("On the days of the test")}
            </th>
            <th scope="col" className="py-1 text-right font-medium">
              {t("now")}
            </th>
            <th scope="col" className="py-1 text-right font-medium">
              {t("then")}
            </th>
          </tr>
        </thead>
        <tbody>
          {changes.map(([what, then, current]) => (
            <tr key={what} className="border-t">
              <th scope="row" className="py-1 font-normal">
                {what}
              </th>
              <td className="py-1 text-right text-soft">{current}</td>
              <td className="py-1 text-right font-semibold">{then}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <TextArea label={t("Reason")} name="note" rows={2} maxLength={500} />
    </FormDialog>
  );
}

function whole(perDay: number | null): string {
  return perDay !== null && perDay < 10 ? perDay.toFixed(1) : count(perDay === null ? null : Math.round(perDay));
}

function was(text: string): string {
  return t("in force: {text}", { text });
}

function of(some: number | null, all: number | null): number | null {
  return some === null || !all ? null : some / all;
}

function Slider({ name, value, onChange }: { name: string; value: number; onChange: (value: number) => void }) {
  const id = useId();
  return (
    <div className="flex flex-col gap-1">
      <span className="flex justify-between">
        <label htmlFor={id} className="font-medium text-xs">
          {name}
        </label>
        <output htmlFor={id} className="figure">
          {value.toFixed(3)}
        </output>
      </span>
      <input
        id={id}
        type="range"
        min={0}
        max={1}
        step={STEP}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
        className="w-full accent-(--accent)"
      />
    </div>
  );
}
