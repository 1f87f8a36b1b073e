import { useState } from "react";
import { useMay } from "~/session/session";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { TextField } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { Panel } from "~/ui/Panel";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { count, plural } from "~/words/numbers";
import { type Cause, handleAll, useCauses } from "./refused";

type How = "resubmit" | "dismiss";

/** What refused events, the most frequent cause first, each to be resubmitted or dismissed as a whole. */
export function Causes({ detector }: { detector: string | undefined }) {
  const causes = useCauses(detector).data?.causes ?? [];
  const may = useMay();
  const mayDismiss = may("administer") || may("operate");
  const [asked, setAsked] = useState<{ how: How; of: Cause }>();
  if (causes.length === 0) return null;
  return (
    <Panel flush title={t("By cause")} about={t("Waiting events; values are left out of the causes.")}>
      <ul aria-label={t("Causes")} className="max-h-72 overflow-y-auto">
        {causes.map((of) => (
          <li key={`${of.detector}${of.cause}`} className="flex flex-wrap items-center gap-2 border-t px-4 py-2">
            <span className="figure w-14 font-semibold">{count(of.count)}</span>
            <Badge>{of.detector ?? t("no detector")}</Badge>
            <span className="min-w-48 flex-1 break-words">{of.cause}</span>
            {(mayDismiss || may("decide")) && of.whole > 0 && (
              <Button onClick={() => setAsked({ how: "resubmit", of })}>{t("Resubmit all…")}</Button>
            )}
            {mayDismiss && <Button onClick={() => setAsked({ how: "dismiss", of })}>{t("Dismiss all…")}</Button>}
          </li>
        ))}
      </ul>
      {asked && <CauseDialog {...asked} onClose={() => setAsked(undefined)} />}
    </Panel>
  );
}

function CauseDialog({ how, of, onClose }: { how: How; of: Cause; onClose: () => void }) {
  const touched = how === "dismiss" ? of.count : of.whole;
  const events = plural(touched, "event");
  const rest = of.count - touched;
  return (
    <FormDialog
      title={how === "dismiss" ? t("Dismiss all of this cause") : t("Resubmit all of this cause")}
      about={
        <>
          {of.cause}
          {rest > 0 && (
            <span className="mt-1 block">
              {t("{rest} with masked or cut content stay in quarantine.", { rest: plural(rest, "event") })}
            </span>
          )}
        </>
      }
      action={how === "dismiss" ? t("Dismiss {events}", { events }) : t("Resubmit {events}", { events })}
      danger={how === "dismiss"}
      onClose={onClose}
      onSubmit={async (given) => {
        const done = await handleAll(how, of, part(given, "reason") ?? "");
        const again = done.refused > 0 ? t("; {refused} refused again", { refused: count(done.refused) }) : "";
        sayDone(
          `${how === "dismiss" ? t("{events} dismissed", { events: plural(done.handled, "event") }) : t("{events} resubmitted", { events: plural(done.handled, "event") })}${again}.`,
        );
      }}
    >
      <TextField label={t("Reason")} name="reason" required maxLength={1000} autoFocus />
    </FormDialog>
  );
}
