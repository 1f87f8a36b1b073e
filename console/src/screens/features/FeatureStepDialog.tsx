import { type FormEvent, useId } from "react";
import { Ask } from "~/ui/Ask";
import { Button } from "~/ui/Button";
import { TextArea } from "~/ui/Field";
import { t } from "~/words/language";
import { take, useFeatureWork } from "./made";
import type { Step } from "./steps";

interface Props {
  detector: string;
  feature: string;
  step: Step;
  onClose: () => void;
}

/** Before a step: what it does, and a note that the audit log keeps. */
export function FeatureStepDialog({ detector, feature, step, onClose }: Props) {
  const form = useId();
  const work = useFeatureWork(detector);

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const note = String(new FormData(event.currentTarget).get("note"));
    work.mutate(() => take(detector, feature, step.name, step.version, note), { onSuccess: onClose });
  }

  return (
    <Ask
      open
      onClose={onClose}
      title={`${step.label}: ${feature}${step.version ? t(" version {version}", { version: step.version }) : ""}`}
      about={step.about}
      actions={
        <Button look={step.look === "danger" ? "danger" : "main"} type="submit" form={form} busy={work.isPending}>
          {step.label}
        </Button>
      }
    >
      <form id={form} onSubmit={submit}>
        <TextArea label={t("Note")} name="note" rows={2} maxLength={2000} hint={t("Why: kept in the audit log.")} />
      </form>
    </Ask>
  );
}
