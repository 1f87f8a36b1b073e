import { type FormEvent, useId } from "react";
import { api, say } from "~/api/client";
import { Ask } from "~/ui/Ask";
import { Button } from "~/ui/Button";
import { Select, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { type KeptList, useWork } from "./books";

/** A new list, or one that was put away and is taken up again. `onClose` is told its name when it was made. */
export function NewList({ detector, onClose }: { detector: string; onClose: (made: string | null) => void }) {
  const form = useId();
  const work = useWork(detector);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const name = String(given.get("name")).trim();
    const body = {
      name,
      kind: String(given.get("kind")) as KeptList["kind"],
      about: String(given.get("about")),
      personal: given.has("personal"),
      protected: given.has("protected"),
    };
    const make = async () => {
      say(await api.POST("/detectors/{name}/lists", { params: { path: { name: detector } }, body }));
      return t("{name}: made.", { name });
    };
    work.mutate(make, { onSuccess: () => onClose(name) });
  }

  return (
    <Ask
      open
      onClose={() => onClose(null)}
      title={t("New list")}
      about={t("What happens to a value on it is said by the rules that ask the list.")}
      actions={
        <Button look="main" type="submit" form={form} busy={work.isPending}>
          {t("Make the list")}
        </Button>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-3">
        <div className="grid gap-3 sm:grid-cols-[2fr_1fr]">
          <TextField
            label={t("Name")}
            name="name"
            required
            maxLength={63}
            pattern="[A-Za-z_][A-Za-z0-9_]*"
            placeholder={t("stolen_devices")}
            hint={t("Letters, digits and _")}
          />
          <Select label={t("Kind")} name="kind" defaultValue="block">
            <option value="block">{t("block")}</option>
            <option value="allow">{t("allow")}</option>
            <option value="watch">{t("watch")}</option>
          </Select>
        </div>
        <TextField label={t("What it is for")} name="about" maxLength={2000} placeholder={t("Reported by phone")} />
        <label className="flex items-start gap-2">
          <input type="checkbox" name="protected" className="mt-1" />
          <span>{t("Protected: every change waits for another person")}</span>
        </label>
        <label className="flex items-start gap-2">
          <input type="checkbox" name="personal" className="mt-1" />
          <span>{t("Personal: it is asked about a field that is declared personal, and keeps tokens")}</span>
        </label>
      </form>
    </Ask>
  );
}
