import { useQueryClient } from "@tanstack/react-query";
import { api, say } from "~/api/client";
import { useRules } from "~/screens/rules/books";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { inFull } from "~/words/times";
import type { Listable } from "./AddToList";

const LENGTHS = ["1d", "7d", "30d", "90d"] as const;

interface Props {
  detector: string;
  /** The rules that are offered first: those that fired. */
  fired?: readonly string[];
  values: readonly Listable[];
  reason: string;
  onClose: () => void;
}

/** Snoozes a rule for one customer, or another key, for a time. */
export function SnoozeRule({ detector, fired = [], values, reason, onClose }: Props) {
  const queries = useQueryClient();
  const known = useRules(detector).data?.rules.filter((rule) => rule.state !== "archived") ?? [];
  const names = [...fired, ...known.map((rule) => rule.name).filter((name) => !fired.includes(name))];
  async function snooze(given: FormData) {
    const of = values[Number(part(given, "of") ?? 0)] ?? { name: "", value: "" };
    const params = { path: { name: detector, rule: part(given, "rule") ?? "" } };
    const lasts = part(given, "lasts") ?? "7d";
    const body = { entity: of.name, key: of.value, lasts, reason: part(given, "reason") ?? reason };
    const done = say(await api.POST("/detectors/{name}/rules/{rule}/snoozes", { params, body }));
    await queries.invalidateQueries({ queryKey: ["rules", detector] });
    sayDone(
      t("{rule} is snoozed for {name} {value} until {until}.", {
        rule: done.rule,
        name: of.name,
        value: of.value,
        until: inFull(done.until),
      }),
    );
  }
  return (
    <FormDialog
      title={t("Snooze a rule")}
      about={t(
        "The rule still records where it fires for this key, and does not act. Other rules and the score decide as before.",
      )}
      action={t("Snooze")}
      onClose={onClose}
      onSubmit={snooze}
    >
      <Select label={t("Rule")} name="rule">
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </Select>
      <Select label={t("For")} name="of">
        {values.map((each, place) => (
          <option key={`${each.name} ${each.value}`} value={place}>
            {words(each.name)}: {each.value}
          </option>
        ))}
      </Select>
      <Select label={t("How long")} name="lasts" defaultValue="7d">
        {LENGTHS.map((each) => (
          <option key={each} value={each}>
            {each.replace("d", each === "1d" ? t(" day") : t(" days"))}
          </option>
        ))}
      </Select>
      <TextField label={t("Reason")} name="reason" maxLength={2000} placeholder={reason} />
    </FormDialog>
  );
}
