import { Plus, Trash2 } from "lucide-react";
import { useEffect, useId, useState } from "react";
import type { Schemas } from "~/api/client";
import { Button } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { Select, TextArea, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { type Column, type Match, OPERATORS, type Operator, operatorName, type Row, rowsOf, sqlOf } from "./rows";

const BLANK: Row = { column: "", operator: ">", values: [] };

interface Props {
  when: string;
  onChange: (when: string) => void;
  columns: readonly Column[];
  lists: readonly string[];
  /** What the service reads in `when`: rows, null where it says more than rows can; undefined until it answered. */
  read: Schemas["Comparisons"] | null | undefined;
}

/** Rows, and the SQL for which they stand; null where that is more than rows. */
interface Standing {
  when: string;
  match: Match;
  rows: readonly Row[] | null;
}

/** A condition by column, operator and value. It writes SQL, and follows SQL that is written by hand while that is simple. */
export function ConditionRows({ when, onChange, columns, lists, read }: Props) {
  const [standing, setStanding] = useState<Standing>({ when: "", match: "all", rows: [BLANK] });
  const current = standing.when === when.trim();

  useEffect(() => {
    if (current) return;
    if (when.trim() === "") setStanding({ when: "", match: "all", rows: [BLANK] });
    else if (read !== undefined && columns.length > 0) {
      const rows = read && rowsOf(read, columns);
      setStanding((now) => ({ when: when.trim(), match: read?.match ?? now.match, rows }));
    }
  }, [columns, current, read, when]);

  function write(match: Match, rows: readonly Row[]) {
    const made = sqlOf(match, rows, columns);
    setStanding({ when: made, match, rows });
    onChange(made);
  }

  const { match, rows } = standing;
  if (current && rows === null) {
    return (
      <p className="rounded-md bg-raised px-3 py-2 text-soft text-xs">
        {t(
          "This condition stays SQL: rows compare a field with values, joined by all or by any; here there are formulas, functions, or both.",
        )}
      </p>
    );
  }
  const shown = rows ?? [];
  const set = (place: number, row: Row) =>
    write(
      match,
      shown.map((each, at) => (at === place ? row : each)),
    );
  return (
    <div className="flex flex-col gap-2">
      {shown.length > 1 && (
        <div>
          <Choice
            label={t("How conditions are joined")}
            value={match}
            onChange={(next) => write(next, shown)}
            options={[
              { value: "all", name: t("All hold") },
              { value: "any", name: t("Any holds") },
            ]}
          />
        </div>
      )}
      <ol aria-label={t("Conditions")} className="flex flex-col gap-2">
        {shown.map((row, place) => (
          <ConditionRow
            key={place}
            number={place + 1}
            row={row}
            columns={columns}
            lists={lists}
            onChange={(next) => set(place, next)}
            onRemove={
              shown.length > 1
                ? () =>
                    write(
                      match,
                      shown.filter((_, at) => at !== place),
                    )
                : undefined
            }
          />
        ))}
      </ol>
      <Button look="quiet" className="self-start" onClick={() => setStanding({ ...standing, rows: [...shown, BLANK] })}>
        <Plus aria-hidden size={14} /> {t("Add condition")}
      </Button>
    </div>
  );
}

interface RowProps {
  number: number;
  row: Row;
  columns: readonly Column[];
  lists: readonly string[];
  onChange: (row: Row) => void;
  onRemove: (() => void) | undefined;
}

function ConditionRow({ number, row, columns, lists, onChange, onRemove }: RowProps) {
  const column = columns.find((each) => each.name === row.column);
  const type = column?.type ?? "number";

  function choose(name: string) {
    const next = columns.find((each) => each.name === name)?.type ?? "number";
    const fits = OPERATORS[next].includes(row.operator);
    onChange({
      column: name,
      operator: fits ? row.operator : (OPERATORS[next][0] as Operator),
      values: next === type ? row.values : [],
    });
  }

  return (
    <li className="grid grid-cols-[1fr_auto] items-start gap-2 sm:grid-cols-[minmax(0,1.5fr)_minmax(0,1fr)_minmax(0,1fr)_auto]">
      <Select
        hidden
        label={t("Field {number}", { number })}
        className="col-span-2 sm:col-span-1"
        value={row.column}
        onChange={(event) => choose(event.target.value)}
      >
        <option value="">{t("Choose a field…")}</option>
        {groups(columns).map(([group, members]) => (
          <optgroup key={group} label={group}>
            {members.map((each) => (
              <option key={each.name} value={each.name} title={each.name}>
                {each.label}
              </option>
            ))}
          </optgroup>
        ))}
      </Select>
      <Select
        hidden
        label={t("Operator {number}", { number })}
        className="col-span-2 sm:col-span-1"
        value={row.operator}
        onChange={(event) => onChange({ ...row, operator: event.target.value as Operator })}
      >
        {OPERATORS[type].map((each) => (
          <option key={each} value={each}>
            {operatorName(each, type)}
          </option>
        ))}
      </Select>
      <RowValue
        label={t("Value {number}", { number })}
        row={row}
        column={column}
        lists={lists}
        onChange={(values) => onChange({ ...row, values })}
      />
      <Button
        look="quiet"
        aria-label={t("Remove condition {number}", { number })}
        disabled={!onRemove}
        onClick={onRemove}
      >
        <Trash2 aria-hidden size={15} />
      </Button>
    </li>
  );
}

interface ValueProps {
  label: string;
  row: Row;
  column: Column | undefined;
  lists: readonly string[];
  onChange: (values: readonly string[]) => void;
}

const NO_VALUE: readonly Operator[] = ["true", "false", "known", "missing"];

function RowValue({ label, row: { operator, values }, column, lists, onChange }: ValueProps) {
  const offersId = useId();
  if (NO_VALUE.includes(operator)) return <span />;
  const first = values[0] ?? "";
  const asked = operator === "in list" || operator === "not in list";
  if (asked || (column?.closed && (operator === "=" || operator === "<>"))) {
    const offered = asked ? lists : (column?.values ?? []);
    return (
      <Select hidden label={label} value={first} onChange={(event) => onChange([event.target.value])}>
        <option value="">{asked ? t("Choose a list…") : t("Choose a value…")}</option>
        {[...new Set([...offered, ...(first ? [first] : [])])].map((each) => (
          <option key={each}>{each}</option>
        ))}
      </Select>
    );
  }
  const hint = hintOf(operator, column);
  if (operator === "in" || operator === "not in") {
    return (
      <TextArea
        hidden
        label={label}
        rows={Math.min(6, Math.max(2, values.length))}
        value={values.join("\n")}
        hint={hint}
        spellCheck={false}
        onChange={(event) => onChange(event.target.value === "" ? [] : event.target.value.split("\n"))}
      />
    );
  }
  return (
    <div>
      <TextField
        hidden
        label={label}
        value={first}
        inputMode={column?.type === "number" ? "decimal" : "text"}
        list={column?.values.length ? offersId : undefined}
        hint={hint}
        error={column?.type === "number" && first !== "" && !Number.isFinite(Number(first)) ? t("A number") : null}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onChange(event.target.value === "" ? [] : [event.target.value])}
      />
      {column && column.values.length > 0 && (
        <datalist id={offersId}>
          {column.values.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
    </div>
  );
}

function hintOf(operator: Operator, column: Column | undefined): string | null {
  if (operator === "like" || operator === "not like") return t("% any text, _ any one character");
  if (operator === "in" || operator === "not in") return t("One value a line");
  if (column?.type === "time") return "As 2026-01-31 12:00:00, UTC";
  const parts = [column?.unit, column?.usual ? t("typically {usual}", { usual: column.usual }) : null].filter(Boolean);
  return parts.join(", ") || null;
}

function groups(columns: readonly Column[]): readonly (readonly [string, readonly Column[]])[] {
  const names = [...new Set(columns.map((each) => each.group))];
  return names.map((name) => [name, columns.filter((each) => each.group === name)] as const);
}
