import { Link } from "@tanstack/react-router";
import { BellOff, FilePlus2, ListPlus } from "lucide-react";
import { useState } from "react";
import { useDefinition } from "~/api/definition";
import { useMay } from "~/session/session";
import { Button, buttonLook } from "~/ui/Button";
import { t } from "~/words/language";
import { AddToList } from "./AddToList";
import { CopyLink } from "./CopyLink";
import { equals } from "./ruleFrom";
import { SnoozeRule } from "./SnoozeRule";

interface Props {
  entity: string;
  keyed: string;
  detector: string;
}

/** What one can do from the page of a customer, a merchant or another key. */
export function EntityActions({ entity, keyed, detector }: Props) {
  const may = useMay(detector);
  const [dialog, setDialog] = useState<"list" | "snooze">();
  const definition = useDefinition(detector).data;
  const fields = definition?.entities.find((each) => each.name === entity)?.fields[0] ?? [];
  const parts = keyed.split("|");
  const number = (field: string) => definition?.fields.find((each) => each.name === field)?.type !== "text";
  const condition = fields
    .map((field, place) => equals(field, number(field) ? Number(parts[place]) : (parts[place] ?? "")))
    .join(" AND ");
  return (
    <>
      {may("author") && fields.length === 1 && (
        <Button onClick={() => setDialog("list")}>
          <ListPlus aria-hidden size={14} /> {t("Add to list…")}
        </Button>
      )}
      {may("author") && fields.length > 0 && (
        <Link to="/rules/new" search={{ detector, when: condition }} className={buttonLook()}>
          <FilePlus2 aria-hidden size={14} /> {t("Write a rule…")}
        </Link>
      )}
      {may("author") && fields.length === 1 && (
        <Button onClick={() => setDialog("snooze")}>
          <BellOff aria-hidden size={14} /> {t("Snooze a rule…")}
        </Button>
      )}
      <CopyLink />
      {dialog === "list" && (
        <AddToList
          detector={detector}
          values={[{ name: entity, value: keyed }]}
          reason={t("from the page of {entity} {keyed}", { entity, keyed })}
          onClose={() => setDialog(undefined)}
        />
      )}
      {dialog === "snooze" && (
        <SnoozeRule
          detector={detector}
          values={[{ name: entity, value: keyed }]}
          reason={t("from the page of {entity} {keyed}", { entity, keyed })}
          onClose={() => setDialog(undefined)}
        />
      )}
    </>
  );
}
