import type { Schemas } from "~/api/client";
import { Select, TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { instant, localInput } from "~/words/zones";
import { useColleagues } from "./cases";
import type { Case, Verdict } from "./outbox";
import type { Work } from "./useWork";
import { VERDICTS } from "./verdicts";

interface Props {
  about: string;
  work: Work;
  onClose: () => void;
}

type Priority = Case["priority"];

const PRIORITIES: readonly Priority[] = ["low", "normal", "high", "urgent"];

/** Who decides the case, until when and in which order, and its tags. Only what was changed is sent. */
export function PlanDialog({ of, about, work, onClose }: Props & { of: Case }) {
  const submit = async (given: FormData) => {
    const plan: Partial<Schemas["PlanCase"]> = {};
    const assignee = part(given, "assignee") ?? null;
    if (assignee !== of.assignee) plan.assignee = assignee;
    const due = part(given, "due");
    if (due !== localInput(of.due_at)) plan.due_at = instant(due) ?? null;
    const priority = part(given, "priority") as Priority;
    if (priority !== of.priority) plan.priority = priority;
    const tags = (part(given, "tags") ?? "").split(/[\s,]+/).filter(Boolean);
    if (tags.toSorted().join() !== of.tags.join()) plan.tags = tags;
    if (Object.keys(plan).length > 0) await work.plan({ ...plan, note: part(given, "note") ?? null });
  };
  return (
    <FormDialog title={t("Assign")} about={about} onClose={onClose} onSubmit={submit} action={t("Save")}>
      <Colleague label={t("Assignee")} name="assignee" defaultValue={of.assignee ?? ""} hint={t("Empty: anybody.")} />
      <div className="grid gap-3 sm:grid-cols-2">
        <TextField label={t("Due")} name="due" type="datetime-local" defaultValue={localInput(of.due_at)} />
        <Select label={t("Priority")} name="priority" defaultValue={of.priority}>
          {PRIORITIES.map((each) => (
            <option key={each} value={each}>
              {words(each)}
            </option>
          ))}
        </Select>
      </div>
      <TextField
        label={t("Tags")}
        name="tags"
        defaultValue={of.tags.join(" ")}
        hint={t("Words of a-z, 0-9 and -, with spaces between them.")}
      />
      <TextField label={t("Note")} name="note" maxLength={10_000} />
    </FormDialog>
  );
}

/** Of whom a second opinion is asked, with one's own as the first. */
export function OpinionDialog({ about, work, onClose }: Props) {
  const submit = (given: FormData) =>
    work.askOpinion({
      of: part(given, "of") ?? "",
      verdict: (part(given, "verdict") as Verdict | undefined) ?? null,
      reason: null,
      note: part(given, "note") ?? null,
    });
  return (
    <FormDialog
      title={t("Second opinion")}
      about={t("{about}. The case waits for their verdict; yours is kept beside it.", { about })}
      onClose={onClose}
      onSubmit={submit}
      action={t("Ask")}
    >
      <Colleague label={t("Ask")} name="of" required roles />
      <Select label={t("Your opinion")} name="verdict">
        <option value="">{t("none")}</option>
        {VERDICTS.map(({ value, name }) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </Select>
      <TextField label={t("Note")} name="note" maxLength={10_000} />
    </FormDialog>
  );
}

interface ColleagueProps {
  label: string;
  name: string;
  required?: boolean;
  defaultValue?: string;
  hint?: string;
  /** A role may be named as well. */
  roles?: boolean;
}

/** The name of a colleague, completed from those that the service knows. */
function Colleague({ roles, hint, ...rest }: ColleagueProps) {
  const known = useColleagues().data;
  const names = [...(known?.users ?? []), ...(roles ? (known?.roles ?? []).map((role) => `role:${role}`) : [])];
  const id = `${rest.name}-names`;
  return (
    <>
      <TextField
        {...rest}
        list={id}
        autoFocus
        maxLength={200}
        hint={hint ?? t("A colleague, or a role as role:name.")}
      />
      <datalist id={id}>
        {names.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
    </>
  );
}
