import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { BellOff, FilePlus2, ListPlus, MessageSquare, Scale } from "lucide-react";
import { useState } from "react";
import { api, say } from "~/api/client";
import type { Context, Decision } from "~/api/transactions";
import { useMay } from "~/session/session";
import { told } from "~/ui/Asked";
import { Button, buttonLook } from "~/ui/Button";
import { TextArea } from "~/ui/Field";
import { FormDialog, part } from "~/ui/FormDialog";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { AddToList } from "./AddToList";
import { CopyLink } from "./CopyLink";
import { conditionOf } from "./ruleFrom";
import { SnoozeRule } from "./SnoozeRule";

/** What one can do from a transaction. */
export function TransactionActions({ decision, context }: { decision: Decision; context: Context | undefined }) {
  const may = useMay(decision.detector);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [dialog, setDialog] = useState<"list" | "comment" | "snooze">();
  const { detector, transaction_id } = decision;
  const caseOf = async (note: string | null) => {
    const opened = say(await api.POST("/cases", { body: { transaction_id, detector, note } }));
    await queries.invalidateQueries({ queryKey: ["transaction", transaction_id] });
    return opened;
  };
  const openCase = async () => {
    try {
      const opened = await caseOf(null);
      void navigate({ to: "/queue", search: { case: opened.id } });
    } catch (error) {
      sayDone(told(error), { bad: true });
    }
  };
  const values = keysOf(context);
  return (
    <>
      {may("author") && values.length > 0 && (
        <Button onClick={() => setDialog("list")}>
          <ListPlus aria-hidden size={14} /> {t("Add to list…")}
        </Button>
      )}
      {may("author") && (
        <Link to="/rules/new" search={{ detector, when: conditionOf(decision) }} className={buttonLook()}>
          <FilePlus2 aria-hidden size={14} /> {t("Write a rule…")}
        </Link>
      )}
      {may("author") && values.length > 0 && decision.explanation.rules.length > 0 && (
        <Button onClick={() => setDialog("snooze")}>
          <BellOff aria-hidden size={14} /> {t("Snooze a rule…")}
        </Button>
      )}
      {context?.case ? (
        <Link to="/queue" search={{ case: context.case.id }} className={buttonLook()}>
          <Scale aria-hidden size={14} /> {t("Go to case")}
        </Link>
      ) : (
        may("label") && (
          <Button onClick={() => void openCase()}>
            <Scale aria-hidden size={14} /> {t("Open a case")}
          </Button>
        )
      )}
      {may("label") && (
        <Button onClick={() => setDialog("comment")}>
          <MessageSquare aria-hidden size={14} /> {t("Comment…")}
        </Button>
      )}
      <CopyLink />
      {dialog === "list" && (
        <AddToList
          detector={detector}
          values={values}
          reason={t("transaction {transaction_id}", { transaction_id })}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "snooze" && (
        <SnoozeRule
          detector={detector}
          fired={decision.explanation.rules.map((rule) => rule.name)}
          values={values}
          reason={t("transaction {transaction_id}", { transaction_id })}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "comment" && (
        <FormDialog
          title={t("Comment")}
          about={t("Kept in the case of this transaction, which is opened where there is none.")}
          action={t("Add comment")}
          onClose={() => setDialog(undefined)}
          onSubmit={async (given) => {
            await caseOf(part(given, "text") ?? null);
            sayDone(t("Comment added"));
          }}
        >
          <TextArea label={t("Comment")} name="text" rows={4} required maxLength={10_000} />
        </FormDialog>
      )}
    </>
  );
}

/** The keys of one field, which lists can hold. */
function keysOf(context: Context | undefined) {
  const single = context?.entities.filter((each) => each.fields.length === 1 && !each.key.includes("|")) ?? [];
  return single.map((each) => ({ name: each.entity, value: each.key }));
}
