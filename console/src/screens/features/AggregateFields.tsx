import type { Definition } from "~/api/definition";
import { Select, TextField } from "~/ui/Field";
import { AGGREGATES, asks, type FeatureDraft } from "./body";

interface Props {
  draft: FeatureDraft;
  change: (part: Partial<FeatureDraft>) => void;
  definition: Definition;
}

const MEANINGS: Record<(typeof AGGREGATES)[number], string> = {
  count: "how many events",
  sum: "the sum of a field",
  mean: "the mean of a field",
  std: "the standard deviation of a field",
  min: "the smallest value of a field",
  max: "the largest value of a field",
  median: "the middle value of a field",
  quantile: "the value of a field below which a share of its values lies",
  approx_quantile: "the same of any number of values, to 1.6 %; takes 17 KB of each key",
  distinct: "how many different values of a field",
  mode: "the most frequent value of a field",
  share_of_top: "the share of the most frequent value of a field",
  entropy: "how evenly the values of a field are spread, in bits",
  session_count: "how many events the current session has",
  session_sum: "the sum of a field over the current session",
  session_duration: "seconds since the current session began",
  last: "the value of a field in the event before",
  first: "the value of a field in the first event",
  since_last: "seconds since the event before",
  since_first: "seconds since the first event",
  label_count: "how many known frauds",
  label_rate: "the share of known frauds",
};

/** An aggregate: what is computed, over whose events, over which time, and which of them count. */
export function AggregateFields({ draft, change, definition }: Props) {
  const asked = asks(draft.kind);
  return (
    <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
      <Select
        label="Compute"
        value={draft.kind}
        hint={MEANINGS[draft.kind]}
        onChange={(event) => change({ kind: event.target.value as FeatureDraft["kind"] })}
      >
        {AGGREGATES.map((kind) => (
          <option key={kind}>{kind}</option>
        ))}
      </Select>
      {asked.field && (
        <Select label="Of the field" value={draft.field} onChange={(event) => change({ field: event.target.value })}>
          <option value="">choose</option>
          {fields(definition).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </Select>
      )}
      <OfEntity draft={draft} change={change} definition={definition} />
      {asked.window && (
        <TextField
          label={asked.gap ? "Gap" : "Window"}
          value={draft.window}
          placeholder={asked.gap ? "30m" : "24h"}
          list="windows"
          hint={asked.gap ? "A longer pause ends the session" : "30s, 5m, 1h, 7d, or ever"}
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
          label="Quantile"
          value={draft.q}
          placeholder="0.9"
          hint="From 0 to 1; 0.5 is the median"
          onChange={(event) => change({ q: event.target.value })}
        />
      )}
      {asked.most && (
        <TextField
          label="Of the newest"
          value={draft.most}
          placeholder="1000"
          hint="How many values of the window are read at most"
          onChange={(event) => change({ most: event.target.value })}
        />
      )}
      {asked.delay && (
        <TextField
          label="Delay"
          value={draft.delay}
          placeholder="none"
          hint="The window ends so long before the event"
          onChange={(event) => change({ delay: event.target.value })}
        />
      )}
      {definition.informs.length > 0 && (
        <Select label="Of events" value={draft.of} onChange={(event) => change({ of: event.target.value })}>
          <option value="">transactions</option>
          {definition.informs.map((each) => (
            <option key={each.type}>{each.type}</option>
          ))}
        </Select>
      )}
      {draft.kind === "label_count" && (
        <Select
          label="Within the window lies"
          value={draft.by}
          onChange={(event) => change({ by: event.target.value as FeatureDraft["by"] })}
        >
          <option value="event">the event</option>
          <option value="known">when its label became known</option>
        </Select>
      )}
      <TextField
        label="Where"
        value={draft.where}
        placeholder="amount < 5"
        className="sm:col-span-2"
        hint="Only events for which this is true count"
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
          The event itself counts, too
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
        label="Of each"
        value={draft.entity}
        hint={entity ? `key: ${entity.fields.map((each) => each.join(" + ")).join(" or ")}` : "a new one"}
        onChange={(event) => change({ entity: event.target.value })}
      >
        {definition.entities.map((each) => (
          <option key={each.name}>{each.name}</option>
        ))}
        <option value="">new entity …</option>
      </Select>
      {draft.entity === "" && (
        <>
          <TextField
            label="Name of the entity"
            value={draft.newEntity}
            placeholder="device"
            onChange={(event) => change({ newEntity: event.target.value })}
          />
          <TextField
            label="Fields of its key"
            value={draft.keys}
            placeholder="device_id"
            hint={`of ${fields(definition).join(", ")}`}
            onChange={(event) => change({ keys: event.target.value })}
          />
        </>
      )}
      {entity && entity.fields.length > 1 && (
        <TextField
          label="Role"
          value={draft.role}
          placeholder="all"
          hint="Only events in which the key has this role"
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
