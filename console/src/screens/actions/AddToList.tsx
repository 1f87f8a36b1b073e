import { useState } from "react";
import { api, say } from "~/api/client";
import { type KeptList, useLists, useWork } from "~/screens/rules/books";
import { changed, EXPIRIES, expiresAt } from "~/screens/rules/entries";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { t } from "~/words/language";
import { count, words } from "~/words/numbers";

/** A value that can be put on a list, and what it is. */
export interface Listable {
  name: string;
  value: string;
}

interface Props {
  detector: string;
  values: readonly Listable[];
  /** All of them can be added at once, and are unless one is chosen. */
  together?: boolean;
  /** What is noted with the entry unless another reason is given. */
  reason: string;
  onClose: () => void;
}

/** No key is empty. */
const ALL = "";

/** Puts a customer, a merchant or another key on a list. */
export function AddToList({ detector, values, together = false, reason, onClose }: Props) {
  const lists =
    useLists(detector).data?.lists.filter((each) => !each.archived && !each.name.startsWith("snoozed:")) ?? [];
  const work = useWork(detector);
  const [chosen, setChosen] = useState(together ? ALL : (values[0]?.value ?? ""));
  async function add(given: FormData) {
    const list = lists.find((each) => each.name === part(given, "list")) as KeptList;
    const added = chosen === ALL ? values.map((each) => each.value) : [chosen];
    const body = {
      value: null,
      entries: added.map((value) => ({ value, reason: null, expires_at: null })),
      reason: part(given, "reason") ?? reason,
      expires_at: expiresAt(part(given, "expires") ?? ""),
    };
    const params = { path: { name: detector, list_name: list.name } };
    const done = say(await api.POST("/detectors/{name}/lists/{list_name}/entries", { params, body }));
    work.mutate(async () => changed(list.name, done));
  }
  if (lists.length === 0)
    return (
      <FormDialog title={t("Add to a list")} action={t("Close")} onClose={onClose} onSubmit={() => {}}>
        <p>{t("There is no list yet. Create one under Rules, Lists.")}</p>
      </FormDialog>
    );
  return (
    <FormDialog title={t("Add to a list")} action={t("Add")} onClose={onClose} onSubmit={add}>
      <Select label={t("Value")} value={chosen} onChange={(event) => setChosen(event.target.value)}>
        {together && <option value={ALL}>{t("all {n}", { n: count(values.length) })}</option>}
        {values.map((each) => (
          <option key={`${each.name} ${each.value}`} value={each.value}>
            {words(each.name)}: {each.value}
          </option>
        ))}
      </Select>
      <Select label={t("List")} name="list">
        {lists.map((each) => (
          <option key={each.name} value={each.name}>
            {each.name}
            {each.about ? ` (${each.about})` : ""}
          </option>
        ))}
      </Select>
      <TextField label={t("Reason")} name="reason" maxLength={2000} placeholder={reason} />
      <Select label={t("Expires")} name="expires">
        {EXPIRIES.map((each) => (
          <option key={each.value} value={each.value}>
            {each.name}
          </option>
        ))}
      </Select>
    </FormDialog>
  );
}
