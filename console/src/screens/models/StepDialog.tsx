import { type FormEvent, useState } from "react";
import { useDetectors } from "~/api/detectors";
import { Ask } from "~/ui/Ask";
import { Button } from "~/ui/Button";
import { Select, TextArea, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { type Step, useStep } from "./queries";

/** The steps that this dialog asks about; thresholds are applied where they are chosen. */
export type Asked = Exclude<Step["kind"], "thresholds">;

const ABOUT: Record<Asked, { title: string; about: string; verb: string }> = {
  shadow: {
    title: t("Try in shadow"),
    about: t("Shadow mode: scores live traffic without affecting decisions. Results show under Trials."),
    verb: t("Start shadow"),
  },
  rollout: {
    title: t("Roll out to a share"),
    about: t(
      "It decides for this share of keys, always the same ones, and the champion for the others. Guards compare both on the same events and take it back on their own.",
    ),
    verb: t("Roll out"),
  },
  promote: {
    title: t("Promote"),
    about: t("It decides everything, within seconds, on every process."),
    verb: "Promote",
  },
  rollback: { title: t("End the trial"), about: t("It scores and decides nothing any more."), verb: t("End it") },
  undo: {
    title: t("Roll back"),
    about: t("The champion before it decides again, within seconds."),
    verb: t("Roll back"),
  },
};

interface Props {
  name: string;
  version: string;
  kind: Asked;
  fourEyes: boolean;
  onClose: () => void;
}

/** The question before a step: what it will do, why, and for whom. */
export function StepDialog({ name, version, kind, fourEyes, onClose }: Props) {
  const step = useStep(name);
  const [note, setNote] = useState("");
  const [percent, setPercent] = useState("10");
  const { data } = useDetectors();
  const fields = Object.entries(data?.find((each) => each.name === name)?.fields ?? {});
  const texts = fields.filter(([, type]) => type === "text").map(([field]) => field);
  const [of, setOf] = useState<string>();
  const { title, about, verb } = ABOUT[kind];

  async function submit(event: FormEvent) {
    event.preventDefault();
    const taken: Step =
      kind === "rollout" ? { kind, note, percent: Number(percent), of: of ?? texts[0] ?? "" } : { kind, note };
    await step.mutateAsync({ version, step: taken }).then(onClose, () => undefined);
  }

  return (
    <Ask
      open
      onClose={onClose}
      title={`${title}: ${version}`}
      about={
        fourEyes && ["promote", "rollout"].includes(kind)
          ? t("{about} Somebody else has to approve it.", { about })
          : about
      }
      actions={
        <Button
          look={kind === "rollback" || kind === "undo" ? "danger" : "main"}
          type="submit"
          form="step"
          busy={step.isPending}
        >
          {verb}
        </Button>
      }
    >
      <form id="step" onSubmit={submit} className="flex flex-col gap-3">
        {kind === "rollout" && (
          <div className="grid gap-3 sm:grid-cols-2">
            <TextField
              label={t("Percent of keys")}
              type="number"
              min={0.1}
              max={100}
              step={0.1}
              required
              value={percent}
              onChange={(event) => setPercent(event.target.value)}
            />
            <Select label={t("of")} value={of ?? texts[0]} onChange={(event) => setOf(event.target.value)}>
              {texts.map((field) => (
                <option key={field}>{field}</option>
              ))}
            </Select>
          </div>
        )}
        <TextArea label={t("Why")} rows={2} value={note} onChange={(event) => setNote(event.target.value)} />
      </form>
    </Ask>
  );
}
