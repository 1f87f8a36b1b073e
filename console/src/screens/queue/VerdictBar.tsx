import { Button } from "~/ui/Button";
import { t } from "~/words/language";
import { heldByOther } from "./order";
import type { Case } from "./outbox";
import { mayUndo } from "./told";
import type { Work } from "./useWork";

/** What one can say about a case; each button shows its key. Nothing where one may only look. */
export function VerdictBar({ of, me, work }: { of: Case; me: string; work: Work }) {
  const { ask } = work;
  if (!work.mayDecide) return <p className="text-soft">{t("You may look at cases; verdicts are for analysts.")}</p>;
  const help = (
    <Button look="quiet" shortcut="?" onClick={() => ask("keys")}>
      {t("Keys")}
    </Button>
  );
  if (of.state === "decided") {
    return (
      <div className="flex flex-wrap gap-2">
        {mayUndo(of, me) && (
          <Button shortcut="z" onClick={work.undo}>
            {t("Undo")}
          </Button>
        )}
        <Button shortcut="d" onClick={() => ask("verdict")}>
          {t("Change verdict")}
        </Button>
        <Button shortcut="n" onClick={() => ask("note")}>
          {t("Note")}
        </Button>
        {help}
      </div>
    );
  }
  const others = heldByOther(of, me);
  return (
    <div className="flex flex-col gap-1">
      <div className="flex flex-wrap gap-2">
        <Button look="main" shortcut="a" disabled={others} onClick={() => work.say("good")}>
          {t("Legitimate")}
        </Button>
        <Button look="danger" shortcut="b" disabled={others} onClick={() => work.say("fraud")}>
          {t("Fraud")}
        </Button>
        <Button shortcut="u" disabled={others} onClick={() => work.say("unsure")}>
          {t("Unsure")}
        </Button>
        <Button shortcut="d" disabled={others} onClick={() => ask("verdict")}>
          {t("Add reason…")}
        </Button>
      </div>
      <div className="flex flex-wrap gap-1">
        <Button look="quiet" shortcut="e" disabled={others} onClick={() => ask("escalate")}>
          {t("Escalate")}
        </Button>
        <Button look="quiet" shortcut="n" onClick={() => ask("note")}>
          {t("Note")}
        </Button>
        <Button look="quiet" shortcut="s" onClick={() => ask("plan")}>
          {t("Assign…")}
        </Button>
        {of.opinion?.by === me ? (
          <Button look="quiet" onClick={work.withdrawOpinion}>
            {t("Withdraw request")}
          </Button>
        ) : (
          <Button look="quiet" shortcut="o" disabled={others} onClick={() => ask("opinion")}>
            {t("Second opinion")}
          </Button>
        )}
        {of.state === "taken" && of.owner === me ? (
          <Button look="quiet" shortcut="r" onClick={work.release}>
            {t("Unassign")}
          </Button>
        ) : (
          <Button look="quiet" shortcut="t" onClick={work.take}>
            {t("Assign to me")}
          </Button>
        )}
        {help}
      </div>
    </div>
  );
}
