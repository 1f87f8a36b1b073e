import { type FormEvent, useId } from "react";
import { api, say } from "~/api/client";
import { Ask } from "~/ui/Ask";
import { Button } from "~/ui/Button";
import { TextArea } from "~/ui/Field";
import { t } from "~/words/language";
import { type Asked, useRule, useWork } from "./books";
import { Lowering } from "./Lowering";
import { details } from "./requests";

interface Props {
  detector: string;
  request: Asked;
  approve: boolean;
  /** Who asked takes it back. */
  own: boolean;
  onClose: () => void;
}

/** Approving does what was asked for, at once; rejecting lets it not be done. */
export function SettleDialog({ detector, request, approve, own, onClose }: Props) {
  const form = useId();
  const work = useWork(detector);
  const label = approve ? t("Approve") : own ? t("Withdraw") : t("Reject");
  const params = { path: { name: detector, request_id: request.id } };

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const body = { note: String(new FormData(event.currentTarget).get("note")) };
    const settle = async () => {
      say(
        approve
          ? await api.POST("/detectors/{name}/approvals/{request_id}/approve", { params, body })
          : await api.POST("/detectors/{name}/approvals/{request_id}/reject", { params, body }),
      );
      return `${request.name}: ${approve ? t("approved and done") : t("not done")}.`;
    };
    work.mutate(settle, { onSuccess: onClose });
  }

  return (
    <Ask
      open
      onClose={onClose}
      title={`${label}: ${request.name}`}
      about={`${t("{asked_by} asks to {details}.", { asked_by: request.asked_by, details: details(request) })} ${approve ? t("It is done at once.") : t("It is not done.")}`}
      actions={
        <Button look={approve ? "main" : "danger"} type="submit" form={form} busy={work.isPending}>
          {label}
        </Button>
      }
    >
      <form id={form} onSubmit={submit} className="flex flex-col gap-3">
        {approve && request.kind === "rule" && <Lowered detector={detector} request={request} />}
        <TextArea label={t("Note")} name="note" rows={2} maxLength={2000} />
      </form>
    </Ask>
  );
}

function Lowered({ detector, request }: { detector: string; request: Asked }) {
  const { data } = useRule(detector, request.name);
  const version = data?.versions.find((each) => each.version === request.details.version);
  return version && <Lowering detector={detector} version={version} />;
}
