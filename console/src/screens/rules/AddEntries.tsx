import { type FormEvent, useRef } from "react";
import { api, fetchJson, type Schemas, say } from "~/api/client";
import { Button } from "~/ui/Button";
import { Select, TextArea, TextField } from "~/ui/Field";
import { FileButton } from "~/ui/FileButton";
import { t } from "~/words/language";
import { type KeptList, useWork } from "./books";
import { changed, EXPIRIES, expiresAt, valuesOf } from "./entries";

/** Puts values on a list: typed, or from a CSV file. */
export function AddEntries({ detector, list }: { detector: string; list: KeptList }) {
  const work = useWork(detector);
  const form = useRef<HTMLFormElement>(null);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const body = {
      value: null,
      entries: valuesOf(String(given.get("values"))).map((value) => ({ value, reason: null, expires_at: null })),
      reason: String(given.get("reason")),
      expires_at: expiresAt(String(given.get("expires"))),
    };
    const add = async () => {
      const params = { path: { name: detector, list_name: list.name } };
      return changed(list.name, say(await api.POST("/detectors/{name}/lists/{list_name}/entries", { params, body })));
    };
    work.mutate(add, { onSuccess: () => form.current?.reset() });
  }

  async function take(file: File): Promise<string> {
    const path = `/detectors/${encodeURIComponent(detector)}/lists/${encodeURIComponent(list.name)}/entries`;
    const headers = { "content-type": "text/csv" };
    const body = await file.text();
    return changed(list.name, await fetchJson<Schemas["ListChanged"]>(path, { method: "POST", headers, body }));
  }

  return (
    <form
      ref={form}
      onSubmit={submit}
      aria-label={t("Add to {name}", { name: list.name })}
      className="grid items-start gap-3 border-y bg-ground px-4 py-3 sm:grid-cols-[2fr_2fr_1fr_auto]"
    >
      <TextArea label={t("Values, one a line")} name="values" rows={1} required />
      <TextField label={t("Reason")} name="reason" maxLength={2000} placeholder={t("case 1234")} />
      <Select label={t("Expires")} name="expires">
        {EXPIRIES.map((each) => (
          <option key={each.value} value={each.value}>
            {each.name}
          </option>
        ))}
      </Select>
      <div className="flex gap-2 sm:pt-5">
        <Button look="main" type="submit" busy={work.isPending}>
          {t("Add")}
        </Button>
        <FileButton name={t("CSV")} accept=".csv,text/csv" onChoose={(file) => work.mutate(() => take(file))} />
      </div>
    </form>
  );
}
