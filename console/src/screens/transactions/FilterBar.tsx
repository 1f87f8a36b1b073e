import { useNavigate } from "@tanstack/react-router";
import type { FormEvent } from "react";
import { useDetector } from "~/api/detectors";
import { Button } from "~/ui/Button";
import { Select, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { instant, localInput } from "~/words/zones";
import { DECISIONS, type Filters, isFiltered } from "./filters";

/** The filters; what is chosen goes into the address, and the list follows. */
export function FilterBar({ filters }: { filters: Filters }) {
  const navigate = useNavigate();
  const served = useDetector();
  const entities = [...new Set(served?.features.flatMap((each) => each.entity ?? []) ?? [])];
  const names = new Set([...(served?.rules.map((each) => each.name) ?? []), ...(filters.rule ? [filters.rule] : [])]);
  const set = (changed: Filters) =>
    void navigate({ to: "/transactions", search: (kept) => ({ ...kept, ...changed }), replace: true });
  const lookUp = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const key = String(form.get("key")).trim();
    set(key ? { entity: String(form.get("entity")), key } : { entity: undefined, key: undefined });
  };
  return (
    <div className="flex flex-wrap items-end gap-3">
      <Select
        label={t("Decision")}
        value={filters.decision ?? ""}
        onChange={(event) => set({ decision: event.target.value || undefined })}
        className="w-32"
      >
        <option value="">{t("all")}</option>
        {DECISIONS.map((each) => (
          <option key={each}>{each}</option>
        ))}
      </Select>
      <Select
        label={t("Rule that fired")}
        value={filters.rule ?? ""}
        onChange={(event) => set({ rule: event.target.value || undefined })}
        className="w-44"
      >
        <option value="">{t("any or none")}</option>
        {[...names].sort().map((each) => (
          <option key={each}>{each}</option>
        ))}
      </Select>
      <form onSubmit={lookUp} className="flex flex-wrap items-end gap-2" key={`${filters.entity} ${filters.key}`}>
        <Select label={t("Of")} name="entity" defaultValue={filters.entity ?? entities[0]} className="w-36">
          {entities.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </Select>
        <TextField label={t("Key")} name="key" defaultValue={filters.key ?? ""} className="w-44" />
        <Button type="submit">{t("Show")}</Button>
      </form>
      <TextField
        label={t("Event time from")}
        type="datetime-local"
        value={localInput(filters.from) ?? ""}
        onChange={(event) => set({ from: instant(event.target.value) })}
        className="w-48"
      />
      <TextField
        label={t("and before")}
        type="datetime-local"
        value={localInput(filters.to) ?? ""}
        onChange={(event) => set({ to: instant(event.target.value) })}
        className="w-48"
      />
      {isFiltered(filters) && (
        <Button
          look="quiet"
          onClick={() =>
            set({
              decision: undefined,
              entity: undefined,
              key: undefined,
              rule: undefined,
              from: undefined,
              to: undefined,
            })
          }
        >
          {t("All transactions")}
        </Button>
      )}
    </div>
  );
}
