import { useState } from "react";
import { Ask } from "~/ui/Ask";
import { Select, TextArea, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { t } from "~/words/language";
import { money, words } from "~/words/numbers";
import { useQueues } from "./cases";
import type { Verdict } from "./outbox";
import { OpinionDialog, PlanDialog } from "./PlanDialogs";
import type { Work } from "./useWork";
import { VERDICTS } from "./verdicts";

/** What is asked before something is done: a reason, a queue, a note; and which keys there are. */
export function WorkDialogs({ work }: { work: Work }) {
  const close = () => work.ask(undefined);
  if (work.asking === "keys") return <KeysDialog onClose={close} mayDecide={work.mayDecide} />;
  if (!work.case || !work.asking) return null;
  const about = `${money(work.case.amount, work.case.currency)}, ${work.case.transaction_id}`;
  if (work.asking === "verdict") return <VerdictDialog about={about} work={work} onClose={close} />;
  if (work.asking === "plan") return <PlanDialog of={work.case} about={about} work={work} onClose={close} />;
  if (work.asking === "opinion") return <OpinionDialog about={about} work={work} onClose={close} />;
  if (work.asking === "escalate") return <EscalateDialog about={about} work={work} onClose={close} />;
  return <NoteDialog about={about} work={work} onClose={close} />;
}

interface Props {
  about: string;
  work: Work;
  onClose: () => void;
}

function VerdictDialog({ about, work, onClose }: Props) {
  const reasons = useQueues().data?.reasons;
  const [verdict, setVerdict] = useState<Verdict>((work.case?.verdict as Verdict | null) ?? "fraud");
  const submit = (given: FormData) => {
    work.say(verdict, { reason: part(given, "reason"), note: part(given, "note") });
  };
  return (
    <FormDialog
      title={t("Verdict with a reason")}
      about={about}
      onClose={onClose}
      onSubmit={submit}
      action={t("Submit verdict")}
    >
      <Select
        label={t("Verdict")}
        autoFocus
        value={verdict}
        onChange={(event) => setVerdict(event.target.value as Verdict)}
      >
        {VERDICTS.map(({ value, name }) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </Select>
      <Select label={t("Reason")} name="reason" key={verdict}>
        <option value="">{t("none")}</option>
        {reasons?.[verdict]?.map((reason) => (
          <option key={reason} value={reason}>
            {words(reason)}
          </option>
        ))}
      </Select>
      <TextArea label={t("Note")} name="note" rows={2} maxLength={10_000} />
    </FormDialog>
  );
}

function EscalateDialog({ about, work, onClose }: Props) {
  const queues = useQueues().data?.queues.map((queue) => queue.queue) ?? [];
  const submit = (given: FormData) => work.escalate(part(given, "queue") ?? "", part(given, "note"));
  return (
    <FormDialog
      title={t("Escalate to another queue")}
      about={about}
      onClose={onClose}
      onSubmit={submit}
      action={t("Escalate")}
    >
      <TextField
        label={t("Queue")}
        name="queue"
        list="queues"
        autoFocus
        required
        pattern="[a-z0-9][a-z0-9_\-]{0,59}"
        defaultValue="experts"
        hint={t("A queue that exists or a new one: a-z, 0-9, - and _.")}
      />
      <datalist id="queues">
        {queues.map((queue) => (
          <option key={queue} value={queue} />
        ))}
      </datalist>
      <TextField label={t("Note")} name="note" maxLength={10_000} />
    </FormDialog>
  );
}

function NoteDialog({ about, work, onClose }: Props) {
  const submit = (given: FormData) => work.note(part(given, "text") ?? "");
  return (
    <FormDialog title={t("Note")} about={about} onClose={onClose} onSubmit={submit} action={t("Add note")}>
      <TextArea
        label={t("Note")}
        name="text"
        rows={4}
        required
        autoFocus
        maxLength={10_000}
        hint={t("@name mentions a colleague, who finds the case under “Mentions me”.")}
      />
    </FormDialog>
  );
}

const LOOKING = [
  ["J", t("next case")],
  ["K", t("previous case")],
  ["?", t("these keys")],
] as const;

const DECIDING = [
  ["A", "legitimate: approve"],
  ["B", "fraud: block"],
  ["U", "unsure"],
  ["D", t("verdict with a reason and a note")],
  ["E", t("escalate to another queue")],
  ["S", t("assign, due time, priority, tags")],
  ["O", t("ask for a second opinion")],
  ["Z", t("undo the last verdict")],
  ["N", "note"],
  ["T", t("take, or hold for longer")],
  ["R", "unassign"],
  ["G", t("get the next unassigned case")],
  ["X", t("select for bulk action")],
] as const;

function KeysDialog({ onClose, mayDecide }: { onClose: () => void; mayDecide: boolean }) {
  return (
    <Ask open title={t("Keys")} onClose={onClose} about={t("After a verdict the next case is there at once.")}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
        {[...LOOKING, ...(mayDecide ? DECIDING : [])].map(([key, does]) => (
          <div key={key} className="contents">
            <dt>
              <kbd className="rounded border px-1.5 font-mono">{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Ask>
  );
}
