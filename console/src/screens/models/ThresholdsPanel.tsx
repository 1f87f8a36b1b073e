import { useId, useMemo, useState } from "react";
import { Button } from "~/ui/Button";
import { Figure, Figures } from "~/ui/Figure";
import { Panel } from "~/ui/Panel";
import { count, money, percent } from "~/words/numbers";
import type { Evaluation, Row } from "./queries";
import { meaning } from "./thresholds";

const STEP = 0.005;

/** Drag the thresholds, see reviews, money and what would be missed on the days of the test. */
export function ThresholdsPanel({ table, found }: { table: readonly Row[]; found: Evaluation }) {
  const begin = { review: found.in_force.review_at ?? 0.5, block: found.in_force.block_at ?? 0.9 };
  const [at, setAt] = useState(begin);
  const now = useMemo(() => meaning(table, at.review, at.block), [table, at]);
  const before = useMemo(() => meaning(table, begin.review, begin.block), [table, begin.review, begin.block]);
  const days = found.days;
  return (
    <Panel
      title="Thresholds"
      about={`By score alone, without rules, on the ${days === null ? "" : `${days.toFixed(1)} `}days of the test. Nothing is changed here.`}
      actions={<Button onClick={() => setAt(begin)}>Reset to current</Button>}
    >
      <div className="mb-4 grid gap-4 md:grid-cols-2">
        <Slider name="Review from" value={at.review} onChange={(review) => setAt({ ...at, review })} />
        <Slider name="Block from" value={at.block} onChange={(block) => setAt({ ...at, block })} />
      </div>
      <Figures label="What these thresholds mean">
        <Figure name="Reviews a day" value={whole(now.reviews)} about={was(whole(before.reviews))} />
        <Figure name="Blocks a day" value={whole(now.blocks)} about={was(whole(before.blocks))} />
        <Figure name="Frauds found" value={percent(now.recall)} about={was(percent(before.recall))} />
        <Figure name="Precision" value={percent(now.precision)} about={was(percent(before.precision))} />
        <Figure
          name="False positive rate"
          value={percent(now.falsePositives)}
          about={was(percent(before.falsePositives))}
        />
        <Figure name="Loss caught" value={money(now.caught)} about={was(money(before.caught))} />
        <Figure
          name="Legitimate revenue stopped"
          value={money(now.goodStopped)}
          about={was(money(before.goodStopped))}
        />
        <Figure
          name="Value detection rate"
          value={percent(of(now.caught, found.fraud_amount))}
          about={was(percent(of(before.caught, found.fraud_amount)))}
        />
      </Figures>
    </Panel>
  );
}

function whole(perDay: number | null): string {
  return perDay !== null && perDay < 10 ? perDay.toFixed(1) : count(perDay === null ? null : Math.round(perDay));
}

function was(text: string): string {
  return `in force: ${text}`;
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
