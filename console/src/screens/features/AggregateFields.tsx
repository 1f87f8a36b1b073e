import type { Definition } from "~/api/definition";
import { Select, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { AGGREGATES, asks, type FeatureDraft } from "./body";

interface Props {
  draft: FeatureDraft;
  change: (part: Partial<FeatureDraft>) => void;
  definition: Definition;
}

const MEANINGS: Record<(typeof AGGREGATES)[number], string> = {
  count: t("how many events"),
  sum: t("the sum of a field"),
  mean: t("the mean of a field"),
  std: t("the standard deviation of a field"),
  min: t("the smallest value of a field"),
  max: t("the largest value of a field"),
  median: t("the middle value of a field"),
  quantile: t("the value of a field below which a share of its values lies"),
  approx_quantile: t("the same of any number of values, to 1.6 %; takes 17 KB of each key"),
  distinct: t("how many different values of a field"),
  mode: t("the most frequent value of a field"),
  share_of_top: t("the share of the most frequent value of a field"),
  entropy: t("how evenly the values of a field are spread, in bits"),
  session_count: t("how many events the current session has"),
  session_sum: t("the sum of a field over the current session"),
  session_duration: t("seconds since the current session began"),
  last: t("the value of a field in the event before"),
  first: t("the value of a field in the first event"),
  since_last: t("seconds since the event before"),
  since_first: t("seconds since the first event"),
  label_count: t("how many known frauds"),
  label_rate: t("the share of known frauds"),
};

/** An aggregate: what is computed, over whose events, over which time, and which of them count. */
export function AggregateFields({ draft, change, definition }: Props) {
  const asked = asks(draft.kind);
  return (
    <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
      <Select
        label={t("Compute")}
        value={draft.kind}
        hint={MEANINGS[draft.kind]}
        onChange={(event) => change({ kind: event.target.value as FeatureDraft["kind"] })}
      >
        {AGGREGATES.map((kind) => (
          <option key={kind}>{kind}</option>
        ))}
      </Select>
      {asked.field && (
        <Select
          label={t("Of the field")}
          value={draft.field}
          onChange={(event) => change({ field: event.target.value })}
        >
          <option value="">{t("choose")}</option>
          {fields(definition).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </Select>
      )}
      <OfEntity draft={draft} change={change} definition={definition} />
      {asked.window && (
        <TextField
          label={asked.gap ? t("Gap") : t("Window")}
          value={draft.window}
          placeholder={asked.gap ? "30m" : "24h"}
          list="windows"
          hint={asked.gap ? t("A longer pause ends the session") : t("30s, 5m, 1h, 7d, or ever")}
          onChange={(event) => change({ window: event.target.value })}
        />
      )}
      <datalist id="windows">
        {["5m", "1h", "24h", "7d", "30d", "ever"].map((window) => (
          <option key={window}>{window}</option>
        ))}
      </datalist>
      {asked.q && (
        <TextField
          label={t("Quantile")}
          value={draft.q}
          placeholder="0.9"
          hint={t("From 0 to 1; 0.5 is the median")}
          onChange={(event) => change({ q: event.target.value })}
        />
      )}
      {asked.most && (
        <TextField
          label={t("Of the newest")}
          value={draft.most}
          placeholder="1000"
          hint={t("How many values of the window are read at most")}
          onChange={(event) => change({ most: event.target.value })}
        />
      )}
      {asked.delay && (
        <TextField
          label={t("Delay")}
          value={draft.delay}
          placeholder={t("none")}
          hint={t("The window ends so long before the event")}
          onChange={(event) => change({ delay: event.target.value })}
        />
      )}
      {definition.informs.length > 0 && (
        <Select label={t("Of events")} value={draft.of} onChange={(event) => change({ of: event.target.value })}>
          <option value="">{t("transactions")}</option>
          {definition.informs.map((each) => (
            <option key={each.type}>{each.type}</option>
          ))}
        </Select>
      )}
      {draft.kind === "label_count" && (
        <Select
          label={t("Within the window lies")}
          value={draft.by}
          onChange={(event) => change({ by: event.target.value as FeatureDraft["by"] })}
        >
          <option value="event">{t("the event")}</option>
          <option value="known">{t("when its label became known")}</option>
        </Select>
      )}
      <TextField
        label={t("Where")}
        value={draft.where}
        placeholder={t("amount < 5")}
        className="sm:col-span-2"
        hint={t("Only events for which this is true count")}
        spellCheck={false}
        onChange={(event) => change({ where: event.target.value })}
      />
      {asked.current && (
        <label className="flex items-center gap-2 sm:col-span-2">
          <input
            type="checkbox"
            checked={draft.current}
            onChange={(event) => change({ current: event.target.checked })}
          />
          {t("The event itself counts, too")}
        </label>
      )}
    </div>
  );
}

function OfEntity({ draft, change, definition }: Props) {
  const entity = definition.entities.find((each) => each.name === draft.entity);
  return (
    <>
      <Select
        label={t("Of each")}
        value={draft.entity}
        hint={entity ? `key: ${entity.fields.map((each) => each.join(" + ")).join(t(" or "))}` : t("a new one")}
        onChange={(event) => change({ entity: event.target.value })}
      >
        {definition.entities.map((each) => (
          <option key={each.name}>{each.name}</option>
        ))}
        <option value="">{t("new entity …")}</option>
      </Select>
      {draft.entity === "" && (
        <>
          <TextField
            label={t("Name of the entity")}
            value={draft.newEntity}
            placeholder={t("device")}
            onChange={(event) => change({ newEntity: event.target.value })}
          />
          <TextField
            label={t("Fields of its key")}
            value={draft.keys}
            placeholder={t("device_id")}
            hint={t("of {value}", { value: fields(definition).join(", ") })}
            onChange={(event) => change({ keys: event.target.value })}
          />
        </>
      )}
      {entity && entity.fields.length > 1 && (
        <TextField
          label={t("Role")}
          value={draft.role}
          placeholder={t("all")}
          hint={t("Only events in which the key has this role")}
          onChange={(event) => change({ role: event.target.value })}
        />
      )}
    </>
  );
}

function fields(definition: Definition): string[] {
  return definition.fields
    .filter((field) => !field.roles.some((role) => role === "id" || role === "label" || role === "time"))
    .map((field) => field.name);
}
