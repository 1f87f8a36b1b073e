import { Link } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import { useState } from "react";
import type { Schemas } from "~/api/client";
import { useMay } from "~/session/session";
import { Asked } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { TextArea } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { sayDone } from "~/ui/said";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { EventEditor } from "./EventEditor";
import { pretty } from "./event";
import { dismiss, type Refused, useOneRefused } from "./refused";

/** One refused event: what is wrong, the fields to be put right, and what became of it. */
export function EventPanel({ id, onBack }: { id: string; onBack: () => void }) {
  const found = useOneRefused(id);
  const [sent, setSent] = useState<Schemas["Resubmitted"]>();
  return (
    <Panel>
      <div className="-mt-2 lg:hidden">
        <Button look="quiet" onClick={onBack}>
          <ArrowLeft aria-hidden size={16} /> {t("All refused events")}
        </Button>
      </div>
      <Asked of={found} height={420}>
        {(event) => (
          <div className="flex flex-col gap-4">
            <header className="flex flex-col gap-1">
              <h2 className="break-words font-semibold text-base">{event.cause}</h2>
              <p className="text-soft text-xs">
                {event.detector
                  ? t("For {detector}, refused ", { detector: event.detector })
                  : t("For no detector that is served here, refused ")}
                <Time at={event.received_at} form="full" />
              </p>
            </header>
            {sent && <Became sent={sent} />}
            {event.state === "waiting" ? <Waiting event={event} onSent={setSent} /> : <Handled event={event} />}
          </div>
        )}
      </Asked>
    </Panel>
  );
}

function Waiting({ event, onSent }: { event: Refused; onSent: (sent: Schemas["Resubmitted"]) => void }) {
  const may = useMay();
  const [asking, ask] = useState(false);
  const maySend = may("decide") || may("administer") || may("operate");
  return (
    <>
      {maySend ? (
        <EventEditor
          event={event}
          onSent={onSent}
          actions={
            may("administer") && (
              <Button look="danger" onClick={() => ask(true)}>
                {t("Dismiss…")}
              </Button>
            )
          }
        />
      ) : (
        <>
          <Body of={event.body} />
          <p className="text-soft">{t("You may look at it; to send it again is for administrators.")}</p>
        </>
      )}
      {asking && (
        <FormDialog
          title={t("Dismiss this event")}
          about={t(
            "Nothing is decided about it. It stays in the list of dismissed events, and the reason in the audit log.",
          )}
          action={t("Dismiss")}
          danger
          onClose={() => ask(false)}
          onSubmit={async (given) => {
            await dismiss(event.id, part(given, "reason") ?? "");
            sayDone(t("The event is dismissed."));
          }}
        >
          <TextArea label={t("Reason")} name="reason" rows={3} required maxLength={1000} autoFocus />
        </FormDialog>
      )}
    </>
  );
}

function Handled({ event }: { event: Refused }) {
  return (
    <>
      <p>
        {event.handled_by} {event.state === "dismissed" ? t("dismissed it") : t("sent it again")}{" "}
        <Time at={event.handled_at} />
        {event.reason && `: ${event.reason}`}
        {event.transaction_id && (
          <>
            {": "}
            <Link
              to="/transactions/$id"
              params={{ id: event.transaction_id }}
              className="break-all text-accent underline"
            >
              {event.transaction_id}
            </Link>
          </>
        )}
      </p>
      <Body of={event.body} />
    </>
  );
}

function Body({ of }: { of: string }) {
  return (
    <pre className="whitespace-pre-wrap break-all rounded-md border bg-ground p-3 font-mono text-xs">{pretty(of)}</pre>
  );
}

/** What became of the event that was sent again. */
function Became({ sent }: { sent: Schemas["Resubmitted"] }) {
  return (
    <div role="status" className="flex flex-wrap items-center gap-2 rounded-md border border-approve px-3 py-2">
      <span>
        {t("Accepted")}
        {sent.outcome !== "decided" && `: ${sent.outcome}`}.
      </span>
      {sent.decision && <Outcome of={sent.decision.decision} />}
      {sent.decision?.explanation?.reasons[0] && <span>{sent.decision.explanation.reasons[0].text}</span>}
      {sent.decision && sent.transaction_id && (
        <Link to="/transactions/$id" params={{ id: sent.transaction_id }} className="text-accent underline">
          {t("Look at the decision")}
        </Link>
      )}
    </div>
  );
}
