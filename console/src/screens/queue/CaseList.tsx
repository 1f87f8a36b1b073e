import { useEffect, useRef } from "react";
import { Badge } from "~/ui/Badge";
import { Button } from "~/ui/Button";
import { ExportCsv } from "~/ui/ExportCsv";
import { Identity } from "~/ui/Identity";
import { Outcome } from "~/ui/Outcome";
import { cx } from "~/ui/styles";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { money, percent } from "~/words/numbers";
import type { Case, Said } from "./outbox";
import { Plan } from "./Plan";
import { until, verdictInWords } from "./told";

interface Props {
  rows: readonly Case[];
  chosen: string | undefined;
  me: string;
  refused: ReadonlyMap<string, Said>;
  /** Chosen for a verdict over many; nothing where one may not give any. */
  marked?: ReadonlySet<string>;
  onMark: (id: string) => void;
  onChoose: (id: string) => void;
  more?: () => void;
}

/** The cases, one under the other; the one that is looked at is kept in sight. */
export function CaseList({ rows, chosen, more, ...rest }: Props) {
  return (
    <>
      <ol aria-label={t("Cases")}>
        {rows.map((row) => (
          <Row key={row.id} row={row} here={row.id === chosen} {...rest} />
        ))}
      </ol>
      {more && (
        <div className="p-3 text-center">
          <Button onClick={more}>{t("More cases")}</Button>
        </div>
      )}
      <p className="px-2 py-1 text-right">
        <ExportCsv label={t("Cases")} rows={rows} />
      </p>
    </>
  );
}

type RowProps = Omit<Props, "rows" | "chosen" | "more"> & { row: Case; here: boolean };

function Row({ row, here, me, refused, marked, onMark, onChoose }: RowProps) {
  const line = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (here) line.current?.scrollIntoView({ block: "nearest" });
  }, [here]);
  return (
    <li
      ref={line}
      className={cx(
        "flex items-start gap-2 border-b px-3 py-2 last:border-0 hover:bg-raised",
        here && "bg-raised shadow-[inset_3px_0_0_var(--accent)]",
      )}
    >
      {marked && (
        <input
          type="checkbox"
          aria-label={t("Mark {transaction_id}", { transaction_id: row.transaction_id })}
          className="mt-1 size-4 shrink-0 accent-accent"
          checked={marked.has(row.id)}
          disabled={row.state === "decided"}
          onChange={() => onMark(row.id)}
        />
      )}
      <button
        type="button"
        aria-current={here ? "true" : undefined}
        onClick={() => onChoose(row.id)}
        className="flex min-w-0 flex-1 cursor-pointer flex-col gap-0.5 text-left"
      >
        <span className="flex items-center gap-2">
          <span className="figure font-semibold">{money(row.amount, row.currency)}</span>
          <Outcome of={row.decision} />
          <span className="figure text-soft">{percent(row.fraud_probability)}</span>
          <span className="ml-auto text-soft text-xs">
            <Time at={row.opened_at} form="ago" />
          </span>
        </span>
        <span className="flex w-full">
          <Identity of={row} />
        </span>
        <Plan of={row} />
        <span className="figure text-xs" title={t("Amount x fraud probability")}>
          {t("Expected loss {expected_loss}", { expected_loss: money(row.expected_loss, row.currency) })}
        </span>
        <span className="line-clamp-2 w-full text-soft">
          {row.reason ?? t("chosen at random, to see what is missed")}
        </span>
        <State row={row} me={me} refused={refused.get(row.id)} />
      </button>
    </li>
  );
}

function State({ row, me, refused }: { row: Case; me: string; refused?: Said }) {
  if (refused) return <Badge tone="bad">{t("not saved: {why}", { why: refused.why })}</Badge>;
  if (row.state === "decided")
    return (
      <Badge tone={row.verdict === "fraud" ? "bad" : row.verdict === "good" ? "good" : "plain"}>
        {t("{row}, by {decided_by}", { row: verdictInWords(row), decided_by: row.decided_by })}
      </Badge>
    );
  if (row.state === "taken")
    return (
      <Badge tone={row.owner === me ? "info" : "warn"}>
        {row.owner === me ? t("yours") : t("assigned to {owner}", { owner: row.owner })}{" "}
        {t("until {row}", { row: until(row) })}
      </Badge>
    );
  if (row.escalations > 0) return <Badge tone="warn">{t("escalated")}</Badge>;
  return null;
}
