import { Archive, Download } from "lucide-react";
import { useState } from "react";
import { api, BASE, say } from "~/api/client";
import { useMay } from "~/session/session";
import { Ask } from "~/ui/Ask";
import { Button, buttonLook } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { AddEntries } from "./AddEntries";
import { type KeptList, useWork } from "./books";
import { type EntryState, EntryTable } from "./EntryTable";
import { usePaused } from "./usePaused";

const STATES: readonly { value: EntryState; name: string }[] = [
  { value: "in_force", name: t("in force") },
  { value: "expired", name: "expired" },
  { value: "removed", name: "removed" },
  { value: "all", name: "all" },
];

/** One list: what is on it, what was, and what can be done with it. */
export function ListDetail({ detector, list }: { detector: string; list: KeptList }) {
  const may = useMay(detector);
  const [state, setState] = useState<EntryState>("in_force");
  const [begins, setBegins] = useState("");
  const [archiving, setArchiving] = useState(false);
  const search = usePaused(begins.trim(), 300);
  const author = may("author") && !list.archived;
  return (
    <Panel
      title={list.name}
      about={`${t("{values} in force, {expired} expired, revision {revision}", {
        values: plural(list.in_force, "value"),
        expired: list.expired,
        revision: list.revision,
      })}${list.about ? `. ${list.about}` : ""}`}
      flush
      actions={
        <>
          <a
            href={`${BASE}/detectors/${encodeURIComponent(detector)}/lists/${encodeURIComponent(list.name)}/export`}
            download={`${list.name}.csv`}
            className={buttonLook()}
          >
            <Download aria-hidden size={15} /> {t("Export")}
          </a>
          {author && (
            <Button look="danger" onClick={() => setArchiving(true)}>
              <Archive aria-hidden size={15} /> {t("Archive")}
            </Button>
          )}
        </>
      }
    >
      {author && <AddEntries detector={detector} list={list} />}
      <div className="flex flex-wrap items-end gap-3 px-4 py-3">
        <TextField
          label={t("Starts with")}
          type="search"
          className="w-56 max-w-full"
          value={begins}
          onChange={(event) => setBegins(event.target.value)}
        />
        <Choice label={t("State of entries")} options={STATES} value={state} onChange={setState} />
      </div>
      <EntryTable detector={detector} list={list} state={state} search={search} />
      {archiving && <ArchiveList detector={detector} list={list} onClose={() => setArchiving(false)} />}
    </Panel>
  );
}

function ArchiveList({ detector, list, onClose }: { detector: string; list: KeptList; onClose: () => void }) {
  const work = useWork(detector);
  const put = async () => {
    const params = { path: { name: detector, list_name: list.name } };
    say(await api.POST("/detectors/{name}/lists/{list_name}/archive", { params, body: { note: "" } }));
    return t("{name}: put away. What was on it is kept.", { name: list.name });
  };
  return (
    <Ask
      open
      onClose={onClose}
      title={t("Archive {name}", { name: list.name })}
      about={t("{in_force} of it count no more; what was on it is kept. A list that a rule asks cannot be put away.", {
        in_force: plural(list.in_force, "value"),
      })}
      actions={
        <Button look="danger" busy={work.isPending} onClick={() => work.mutate(put, { onSuccess: onClose })}>
          {t("Archive")}
        </Button>
      }
    />
  );
}
