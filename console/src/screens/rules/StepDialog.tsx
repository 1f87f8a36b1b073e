import { type FormEvent, useId, useState } from "react";
import { useDefinition } from "~/api/definition";
import { Ask } from "~/ui/Ask";
import { Button } from "~/ui/Button";
import { Select, TextArea, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { type RuleVersion, useWork } from "./books";
import { type Guard, GuardFields } from "./GuardFields";
import { Lowering } from "./Lowering";
import type { Step, StepName } from "./steps";
import { takeStep } from "./takeStep";

interface Props {
  detector: string;
  rule: string;
  /** None where the step is about the rule. */
  version: RuleVersion | null;
  step: Step;
  onClose: () => void;
}

/** Before a step: what it does, for a rollout the share and the guards, and a note that the audit log keeps. */
export function StepDialog({ detector, rule, version: says, step, onClose }: Props) {
  const version = says?.version ?? null;
  const form = useId();
  const work = useWork(detector);
  const [guards, setGuards] = useState<readonly Guard[] | null>(null);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const said = (name: string) => String(given.get(name) ?? "");
    const [note, percent, of] = [said("note"), Number(said("percent")), said("of")];
    work.mutate(() => takeStep(detector, rule, step.name, { version, note, percent, of, guards }), {
      onSuccess: onClose,
    });
  }

  return (
    <Ask
      open
      onClose={onClose}
      title={`${step.label}: ${rule}${version ? t(" version {version}", { version }) : ""}`}
      about={step.about}
      actions={
        <Button look={step.look === "danger" ? "danger" : "main"} type="submit" form={form} busy={work.isPending}>
          {step.label}
        </Button>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-3">
        {says && ACTS.includes(step.name) && <Lowering detector={detector} version={says} />}
        {step.name === "rollout" && (
          <>
            <ShareFields detector={detector} share={says?.rollout} />
            <GuardFields guards={guards} onChange={setGuards} />
          </>
        )}
        <TextArea
          label={t("Note")}
          name="note"
          rows={2}
          maxLength={2000}
          hint={t("Why: kept in the audit log, beside who and when.")}
        />
      </form>
    </Ask>
  );
}

/** Steps after which a version acts, or may. */
const ACTS: readonly StepName[] = ["rollout", "promote", "request"];

function ShareFields({ detector, share }: { detector: string; share?: RuleVersion["rollout"] }) {
  const { data } = useDefinition(detector);
  const keys = data?.fields.filter((field) => field.roles.includes("key")) ?? [];
  return (
    <div className="flex gap-3">
      <TextField
        label={t("Share, per cent")}
        name="percent"
        type="number"
        min={0.1}
        max={100}
        step="any"
        required
        defaultValue={share?.percent ?? 10}
        className="w-32"
      />
      <Select
        label={t("Of the keys of")}
        name="of"
        className="flex-1"
        key={keys.length}
        defaultValue={share?.of ?? keys[0]?.name}
      >
        {keys.map((field) => (
          <option key={field.name}>{field.name}</option>
        ))}
      </Select>
    </div>
  );
}
