import { Trash2 } from "lucide-react";
import type { Schemas } from "~/api/client";
import { Button } from "~/ui/Button";
import { Select, TextField } from "~/ui/Field";
import { t } from "~/words/language";

export type Guard = Schemas["Guard"];

const FIGURES: Record<Guard["figure"], string> = {
  block_rate: "block rate",
  review_rate: t("review rate"),
  approval_rate: t("approval rate"),
  precision: "precision",
  error_rate: t("error rate"),
  p99_ms: t("p99, ms"),
};

const FIRST: Guard = { figure: "block_rate", more: 0.05, less: null, window: "5m", least: 500 };

/** What the version must not do, or it is rolled back by itself: those of the detector's policy, or one's own. */
export function GuardFields({
  guards,
  onChange,
}: {
  guards: readonly Guard[] | null;
  onChange: (guards: readonly Guard[] | null) => void;
}) {
  return (
    <fieldset className="flex flex-col gap-2 rounded-md border p-3">
      <legend className="px-1 font-medium text-xs">
        {t("Guards: stop it by itself where, on the same events, it")}
      </legend>
      <label className="flex items-center gap-2">
        <input
          type="checkbox"
          checked={guards !== null}
          onChange={(event) => onChange(event.target.checked ? [FIRST] : null)}
        />
        {t("Set guards for this rollout, in place of those of the detector's policy")}
      </label>
      {guards?.map((guard, place) => (
        <GuardRow
          key={place}
          guard={guard}
          onChange={(next) => onChange(guards.map((each, at) => (at === place ? next : each)))}
          onRemove={() => onChange(guards.filter((_, at) => at !== place))}
        />
      ))}
      {guards && (
        <Button className="self-start" onClick={() => onChange([...guards, FIRST])}>
          {t("Another guard")}
        </Button>
      )}
      {guards?.length === 0 && <p className="text-review text-xs">{t("No guard: nobody stops it but people.")}</p>}
    </fieldset>
  );
}

function GuardRow({
  guard,
  onChange,
  onRemove,
}: {
  guard: Guard;
  onChange: (guard: Guard) => void;
  onRemove: () => void;
}) {
  const scale = guard.figure === "p99_ms" ? 1 : 100;
  const unit = guard.figure === "p99_ms" ? "ms" : "points";
  const below = guard.less != null;
  const by = (guard.more ?? guard.less ?? 0) * scale;
  const limited = (less: boolean, value: number): Guard => ({
    ...guard,
    more: less ? null : value / scale,
    less: less ? value / scale : null,
  });
  return (
    <div className="grid grid-cols-2 items-end gap-2 sm:grid-cols-[1.4fr_1.3fr_1fr_1fr_1fr_auto]">
      <Select
        label={t("Figure")}
        value={guard.figure}
        onChange={(event) => onChange({ ...guard, figure: event.target.value as Guard["figure"] })}
      >
        {Object.entries(FIGURES).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </Select>
      <Select
        label={t("Lies")}
        value={below ? "less" : "more"}
        onChange={(event) => onChange(limited(event.target.value === "less", by))}
      >
        <option value="more">{t("above")}</option>
        <option value="less">{t("below")}</option>
      </Select>
      <TextField
        label={`By, ${unit}`}
        type="number"
        min={0}
        step="any"
        value={Number(by.toPrecision(6))}
        onChange={(event) => onChange(limited(below, Number(event.target.value)))}
      />
      <TextField
        label={t("Within")}
        value={guard.window}
        onChange={(event) => onChange({ ...guard, window: event.target.value })}
      />
      <TextField
        label={t("Least events")}
        type="number"
        min={1}
        value={guard.least}
        onChange={(event) => onChange({ ...guard, least: Number(event.target.value) })}
      />
      <Button look="quiet" aria-label={t("Remove this guard")} onClick={onRemove}>
        <Trash2 aria-hidden size={15} />
      </Button>
    </div>
  );
}
