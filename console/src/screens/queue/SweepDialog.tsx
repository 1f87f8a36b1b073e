import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiProblem, api, say } from "~/api/client";
import { Ask } from "~/ui/Ask";
import { Asked, told } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { Select, TextField } from "~/ui/Field";
import { Outcome } from "~/ui/Outcome";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";
import { count, money, verdictWord, words } from "~/words/numbers";
import { lookAgain, type Meant, sweep, useQueues } from "./cases";
import type { Verdict } from "./outbox";
import { sweepInWords } from "./told";
import { VERDICTS } from "./verdicts";

interface Props {
  title: string;
  meant: Meant;
  onClose: (done: boolean) => void;
}

/** One verdict over many cases: what it will touch is shown before, and only so many are touched. */
export function SweepDialog({ title, meant, onClose }: Props) {
  const [verdict, setVerdict] = useState<Verdict>("good");
  const [reason, setReason] = useState("");
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const reasons = useQueues().data?.reasons?.[verdict] ?? [];
  const touched = useQuery({
    queryKey: ["cases", "sweep", meant, verdict],
    staleTime: 0,
    queryFn: () => sweep(meant, verdict, { dry_run: true }),
  });

  async function confirm(expect: number) {
    setBusy(true);
    setWrong(undefined);
    try {
      const more = { reason: reason || undefined, note: note.trim() || undefined };
      const done = await sweep(meant, verdict, { ...more, dry_run: false, expect });
      sayDone(sweepInWords(done, verdict));
      lookAgain();
      onClose(true);
    } catch (error) {
      setWrong(told(error));
      if (error instanceof ApiProblem && error.status === 409) void touched.refetch();
    } finally {
      setBusy(false);
    }
  }

  return (
    <Ask
      open
      title={title}
      about={t("Review the affected cases.")}
      onClose={() => onClose(false)}
      actions={
        <Button
          look={verdict === "fraud" ? "danger" : "main"}
          busy={busy}
          disabled={!touched.data?.count}
          onClick={() => touched.data && void confirm(touched.data.count)}
        >
          {touched.data
            ? t("Mark {n} as {verdict}", { n: count(touched.data.count), verdict: verdictWord(verdict) })
            : t("Confirm")}
        </Button>
      }
    >
      <div>
        <Choice
          label={t("Verdict")}
          options={VERDICTS}
          value={verdict}
          onChange={(to) => {
            setVerdict(to);
            setReason("");
          }}
        />
      </div>
      <div className="grid gap-3 sm:grid-cols-2">
        <Select label={t("Reason")} value={reason} onChange={(event) => setReason(event.target.value)}>
          <option value="">{t("none")}</option>
          {reasons.map((each) => (
            <option key={each} value={each}>
              {words(each)}
            </option>
          ))}
        </Select>
        <TextField
          label={t("Note")}
          value={note}
          maxLength={10_000}
          onChange={(event) => setNote(event.target.value)}
        />
      </div>
      <Asked of={touched} height={150}>
        {(found) => (
          <div className="flex flex-col gap-2">
            <p role="status" className="font-medium">
              {sweepInWords(found, verdict)}
            </p>
            <Touched ids={found.cases} />
          </div>
        )}
      </Asked>
      {wrong && (
        <p role="alert" className="text-block">
          {wrong}
        </p>
      )}
    </Ask>
  );
}

const SHOWN = 20;

/** The cases that will be touched: the first ones in full, of the others how many. */
function Touched({ ids }: { ids: readonly string[] }) {
  const first = ids.slice(0, SHOWN);
  const found = useQuery({
    queryKey: ["cases", "touched", first],
    enabled: first.length > 0,
    queryFn: () =>
      Promise.all(
        first.map(async (id) => say(await api.GET("/cases/{case_id}", { params: { path: { case_id: id } } })).case),
      ),
  });
  if (first.length === 0) return null;
  return (
    <section
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
      tabIndex={0}
      aria-label={t("What it will touch")}
      className="max-h-56 overflow-y-auto rounded-md border"
    >
      <Asked of={found} height={100}>
        {(cases) => (
          <ul>
            {cases.map((each) => (
              <li key={each.id} className="flex items-center gap-2 border-b px-2 py-1 text-xs last:border-0">
                <span className="figure w-20 shrink-0 text-right font-medium">{money(each.amount, each.currency)}</span>
                <Outcome of={each.decision} />
                <span className="min-w-0 truncate text-soft">{each.reason ?? each.transaction_id}</span>
              </li>
            ))}
            {ids.length > SHOWN && (
              <li className="px-2 py-1 text-soft text-xs">
                {t("and {value} more", { value: count(ids.length - SHOWN) })}
              </li>
            )}
          </ul>
        )}
      </Asked>
    </section>
  );
}
