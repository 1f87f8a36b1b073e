import { getRouteApi } from "@tanstack/react-router";
import { useId, useMemo, useState } from "react";
import type { Definition } from "~/api/definition";
import { useLists } from "~/screens/rules/books";
import { problemOf } from "~/screens/rules/draft";
import { scopeOf } from "~/screens/rules/scope";
import { usePaused } from "~/screens/rules/usePaused";
import { useMay } from "~/session/session";
import { Button } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { AggregateFields } from "./AggregateFields";
import { bodyOf, draftOf, EMPTY, type FeatureDraft, isBegun } from "./body";
import { DerivedField } from "./DerivedField";
import { FeatureVerdict } from "./FeatureVerdict";
import { save, take, useFeatureWork, useMade, useTested } from "./made";

const route = getRouteApi("/features");
const PAUSE_MS = 350;

interface Props {
  detector: string;
  definition: Definition;
  /** "new", or the name of a made feature of which this becomes a version. */
  edit: string;
}

/** A feature is written: an aggregate over the events of a key, or an expression; checked as one types. */
export function FeatureEditor({ detector, definition, edit }: Props) {
  const made = useMade(detector);
  const from = made.data?.features.find((each) => each.name === edit);
  if (edit !== "new" && !from) return null;
  const entities = definition.entities.map((each) => each.name);
  const begin = from
    ? draftOf(from.name, from.versions[0]?.body ?? {}, entities)
    : { ...EMPTY, entity: entities[0] ?? "" };
  return <Editor detector={detector} definition={definition} begin={begin} version={from !== undefined} />;
}

interface EditorProps {
  detector: string;
  definition: Definition;
  begin: FeatureDraft;
  version: boolean;
}

function Editor({ detector, definition, begin, version }: EditorProps) {
  const [draft, setDraft] = useState(begin);
  const navigate = route.useNavigate();
  const aboutId = useId();
  const paused = usePaused(draft, PAUSE_MS);
  const tested = useTested(detector, paused.name, bodyOf(paused), isBegun(paused));
  const lists = useLists(detector);
  const scope = useMemo(() => scopeOf(definition, lists.data?.lists ?? []), [definition, lists.data]);
  const settled = paused === draft && !tested.isFetching;
  const written = draft.form === "derived" ? draft.derive : draft.where;
  const problem = useMemo(() => (settled ? problemOf(tested.error, written) : null), [settled, tested.error, written]);
  const taken = !version && definition.features.some((each) => each.name === draft.name);
  const change = (part: Partial<FeatureDraft>) => setDraft((now) => ({ ...now, ...part }));
  const close = () => void navigate({ search: (kept) => ({ ...kept, edit: undefined }) });
  return (
    <Panel
      title={version ? t("New version of {name}", { name: draft.name }) : t("New feature")}
      about={t(
        "A feature is a number, text or condition that is computed of every event. What is saved is a draft: it does nothing yet.",
      )}
    >
      <div className="flex flex-col gap-3">
        <div className="flex flex-wrap items-end gap-3">
          <TextField
            label={t("Name")}
            className="w-72 max-w-full"
            value={draft.name}
            readOnly={version}
            maxLength={63}
            placeholder={t("night_count")}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => change({ name: event.target.value.trim() })}
            error={taken ? t("There is a feature of this name") : null}
          />
          <Choice
            label={t("Kind of feature")}
            options={[
              { value: "aggregate", name: t("Over a key's events") },
              { value: "derived", name: t("An expression") },
            ]}
            value={draft.form}
            onChange={(form) => change({ form })}
          />
        </div>
        {draft.form === "derived" ? (
          <DerivedField draft={draft} change={change} scope={scope} problem={problem} describedBy={aboutId} />
        ) : (
          <AggregateFields draft={draft} change={change} definition={definition} />
        )}
        <FeatureVerdict id={aboutId} begun={isBegun(draft)} settled={settled} problem={problem} tested={tested.data} />
        <TextField
          label={t("Note")}
          value={draft.note}
          maxLength={2000}
          hint={t("Why: kept beside the version and in the audit log.")}
          onChange={(event) => change({ note: event.target.value })}
        />
        <Save
          detector={detector}
          draft={draft}
          ready={settled && tested.isSuccess && isBegun(draft) && !taken}
          onClose={close}
        />
      </div>
    </Panel>
  );
}

interface SaveProps {
  detector: string;
  draft: FeatureDraft;
  ready: boolean;
  onClose: () => void;
}

function Save({ detector, draft, ready, onClose }: SaveProps) {
  const work = useFeatureWork(detector);
  const may = useMay(detector);

  function keep(activate: boolean) {
    const { name, note } = draft;
    const keeping = async () => {
      const said = await save(detector, { name, note, body: bodyOf(draft) });
      return activate ? take(detector, name, "activate", null, note) : said;
    };
    work.mutate(keeping, { onSuccess: onClose });
  }

  return (
    <div className="flex flex-wrap gap-2">
      {may("approve") && (
        <Button look="main" busy={work.isPending} disabled={!ready} onClick={() => keep(true)}>
          {t("Save and activate")}
        </Button>
      )}
      <Button busy={work.isPending} disabled={!ready} onClick={() => keep(false)}>
        {t("Save as draft")}
      </Button>
      <Button look="quiet" onClick={onClose}>
        {t("Cancel")}
      </Button>
    </div>
  );
}
