import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useId, useMemo, useState } from "react";
import { api, say } from "~/api/client";
import { useDefinition } from "~/api/definition";
import { useMay } from "~/session/session";
import { Waiting } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Select, TextArea, TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { ACTIONS, type Action, type RuleVersion, useLists, useRules, useWork } from "./books";
import { ConditionRows } from "./ConditionRows";
import { bodyOf, type Draft, draftOf, nameProblem, problemOf, useTested } from "./draft";
import { Preview } from "./Preview";
import { columnsOf } from "./rows";
import { scopeOf } from "./scope";
import { takeStep } from "./takeStep";
import { usePaused } from "./usePaused";
import { Verdict } from "./Verdict";

const ConditionEditor = lazy(() => import("./ConditionEditor"));
const PAUSE_MS = 350;

interface Props {
  detector: string;
  from: RuleVersion | null;
  /** What a new rule begins with. */
  when?: string | undefined;
}

/** A new rule, or a new version `from` another; what it would have done stands beside it and follows what is written. */
export function RuleEditor({ detector, from, when }: Props) {
  const [draft, setDraft] = useState(() => ({ ...draftOf(from), ...(when ? { when } : {}) }));
  const paused = usePaused(draft, PAUSE_MS);
  const tested = useTested(detector, paused);
  const rules = useRules(detector);
  const aboutId = useId();
  const scope = useScope(detector);
  const definition = useDefinition(detector);
  const columns = useMemo(() => columnsOf(definition.data), [definition.data]);
  const settled = draft.when === paused.when && !tested.isFetching;
  const problem = useMemo(
    () => (paused.when === draft.when ? problemOf(tested.error, paused.when) : null),
    [tested.error, paused.when, draft.when],
  );
  const misnamed = from ? null : nameProblem(draft.name, rules.data?.rules.map((each) => each.name) ?? []);
  const change = (part: Partial<Draft>) => setDraft((now) => ({ ...now, ...part }));
  const readable = tested.isSuccess && !tested.isPlaceholderData && paused.when.trim() !== "";

  return (
    <div className="grid items-start gap-4 xl:grid-cols-2">
      <Panel title={from ? t("New version, from version {version}", { version: from.version }) : t("The rule")}>
        <div className="flex flex-col gap-3">
          {!from && (
            <TextField
              label={t("Name")}
              value={draft.name}
              maxLength={63}
              placeholder={t("large_at_night")}
              autoComplete="off"
              spellCheck={false}
              onChange={(event) => change({ name: event.target.value })}
              error={draft.name === "" ? null : misnamed}
            />
          )}
          <fieldset className="flex flex-col gap-2">
            <legend className="mb-1 font-medium text-xs">{t("Where")}</legend>
            <ConditionRows
              when={draft.when}
              onChange={(when) => change({ when })}
              columns={columns}
              lists={scope.lists.map((each) => each.name)}
              read={settled && !tested.isError ? tested.data?.comparisons : undefined}
            />
          </fieldset>
          <div className="flex flex-col gap-1">
            <span className="font-medium text-xs">
              {t("Condition")} <span className="font-normal text-soft">{t("as SQL")}</span>
            </span>
            <Suspense fallback={<Waiting height={98} />}>
              <ConditionEditor
                label={t("Condition")}
                value={draft.when}
                onChange={(when) => change({ when })}
                scope={scope}
                problem={problem}
                describedBy={aboutId}
                example="amount > 900 AND is_night"
              />
            </Suspense>
            <Verdict id={aboutId} when={draft.when} problem={problem} tested={tested.data} settled={settled} />
          </div>
          <Says draft={draft} change={change} />
          <Save
            detector={detector}
            draft={draft}
            from={from}
            ready={readable && misnamed === null && paused === draft}
          />
        </div>
      </Panel>
      <Preview detector={detector} draft={paused} readable={readable} version={from !== null} />
    </div>
  );
}

function useScope(detector: string) {
  const definition = useDefinition(detector);
  const lists = useLists(detector);
  return useMemo(() => scopeOf(definition.data, lists.data?.lists ?? []), [definition.data, lists.data]);
}

function Says({ draft, change }: { draft: Draft; change: (part: Partial<Draft>) => void }) {
  return (
    <>
      <div className="grid gap-3 sm:grid-cols-2">
        <Select
          label={t("Then")}
          value={draft.then}
          onChange={(event) => change({ then: event.target.value as Action })}
        >
          {ACTIONS.map((action) => (
            <option key={action} value={action}>
              {words(action)}
            </option>
          ))}
        </Select>
        <TextField
          label={t("Code")}
          value={draft.code}
          maxLength={63}
          placeholder={draft.name || t("the rule's name")}
          hint={t("Reason code: returned to other systems.")}
          onChange={(event) => change({ code: event.target.value })}
        />
      </div>
      <TextField
        label={t("Reason shown to analysts")}
        value={draft.reason}
        maxLength={1000}
        placeholder={t("{amount:.2f} is a high amount at night")}
        hint={t("Use {field} for values.")}
        onChange={(event) => change({ reason: event.target.value })}
      />
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1"
          checked={draft.hard}
          onChange={(event) => change({ hard: event.target.checked })}
        />
        <span>
          {t("Hard block")}{" "}
          <span className="text-soft">{t("– overrides allow rules and applies even if scoring fails")}</span>
        </span>
      </label>
      <label className="flex items-start gap-2">
        <input
          type="checkbox"
          className="mt-1"
          checked={draft.override}
          onChange={(event) => change({ override: event.target.checked })}
        />
        <span>
          {t("Override")}{" "}
          <span className="text-soft">{t("– lowers what the score or another rule asks for; allow always does")}</span>
        </span>
      </label>
      <TextArea
        label={t("Note")}
        rows={2}
        maxLength={2000}
        value={draft.note}
        hint={t("Why: kept beside the version and in the audit log.")}
        onChange={(event) => change({ note: event.target.value })}
      />
    </>
  );
}

interface SaveProps {
  detector: string;
  draft: Draft;
  from: RuleVersion | null;
  ready: boolean;
}

function Save({ detector, draft, from, ready }: SaveProps) {
  const work = useWork(detector);
  const navigate = useNavigate();
  const may = useMay(detector);

  function save(shadow: boolean) {
    const body = bodyOf(draft);
    work.mutate(() => saved(detector, body, shadow), {
      onSuccess: () =>
        void navigate({
          to: "/rules/$detectorName/$rule",
          params: { detectorName: detector, rule: body.name },
          search: (kept) => ({ ...kept, edit: undefined, before: undefined, after: undefined }),
        }),
    });
  }

  if (!may("author")) return <p className="text-soft">{t("You may look, and write no rules.")}</p>;
  return (
    <div className="flex flex-wrap gap-2">
      <Button look="main" busy={work.isPending} disabled={!ready} onClick={() => save(true)}>
        {t("Save and shadow")}
      </Button>
      <Button busy={work.isPending} disabled={!ready} onClick={() => save(false)}>
        {t("Save as draft")}
      </Button>
      {from && (
        <Button
          look="quiet"
          onClick={() => void navigate({ to: ".", search: (kept) => ({ ...kept, edit: undefined }) })}
        >
          {t("Cancel")}
        </Button>
      )}
    </div>
  );
}

async function saved(detector: string, body: ReturnType<typeof bodyOf>, shadow: boolean): Promise<string> {
  const made = say(await api.POST("/detectors/{name}/rules", { params: { path: { name: detector } }, body }));
  const version = made.version?.version ?? made.rule.newest.version;
  if (!shadow) return t("{name}: version {version} is a draft; it does nothing yet.", { name: body.name, version });
  return takeStep(detector, body.name, "shadow", { version, note: body.note ?? "", percent: 0, of: "", guards: null });
}
