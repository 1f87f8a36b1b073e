import { type FormEvent, type ReactNode, useMemo, useState } from "react";
import { ApiProblem, type Schemas } from "~/api/client";
import { useDefinition } from "~/api/definition";
import { told } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { TextArea, TextField } from "~/ui/Field";
import { t } from "~/words/language";
import { bodyOf, type EventField, fieldsOf, isMasked, pretty, type Typed, typedInto } from "./event";
import { type Refused, resubmit } from "./refused";

interface Props {
  event: Refused;
  actions?: ReactNode;
  onSent: (sent: Schemas["Resubmitted"]) => void;
}

const VIEWS = [
  { value: "fields", name: t("Fields") },
  { value: "text", name: t("JSON") },
] as const;

/** The event field by field, or as JSON, with what is wrong beside each; sent as it stands, the service judges again. */
export function EventEditor({ event, actions, onSent }: Props) {
  const declared = useDefinition(event.detector ?? undefined).data?.fields;
  // What is typed is kept by name, apart from the fields: those that the detector needs besides may come to be known later.
  const [source, setSource] = useState(event.body);
  const [typed, setTyped] = useState<Typed>({});
  const fields = useMemo(() => typedInto(fieldsOf(source, declared), typed), [source, declared, typed]);
  const [text, setText] = useState(pretty(event.body));
  const [asText, setAsText] = useState(false);
  const [wrong, setWrong] = useState<Wrong>({ [event.field ?? ""]: event.cause });
  const [busy, setBusy] = useState(false);
  const inFields = fields !== undefined && !asText;
  const body = inFields ? bodyOf(fields) : text;
  const hidden = isMasked(body) || (event.cut && body === pretty(event.body));

  async function submit(submitted: FormEvent<HTMLFormElement>) {
    submitted.preventDefault();
    setBusy(true);
    try {
      onSent(await resubmit(event.id, body));
    } catch (error) {
      setWrong(wrongOf(error));
      setBusy(false);
    }
  }

  function show(view: "fields" | "text") {
    if (view === "text" && fields) setText(pretty(bodyOf(fields)));
    if (view === "fields") {
      if (fieldsOf(text, declared) === undefined) return setWrong({ "": NO_FIELDS });
      setSource(text);
      setTyped({});
    }
    setAsText(view === "text");
  }

  const named = new Set(inFields ? fields.map((field) => field.name) : []);
  const others = Object.entries(wrong).filter(([name]) => !named.has(name));
  return (
    <form
      onSubmit={(submitted) => void submit(submitted)}
      className="flex flex-col gap-3"
      aria-label={t("Corrected event")}
    >
      {fields && (
        <div>
          <Choice label={t("Edit as")} options={VIEWS} value={asText ? "text" : "fields"} onChange={show} />
        </div>
      )}
      {inFields ? (
        <div className="grid gap-x-4 gap-y-3 sm:grid-cols-2">
          {fields.map((field) => (
            <Box
              key={field.name}
              field={field}
              error={wrong[field.name]}
              onChange={(to) => setTyped((before) => ({ ...before, [field.name]: to }))}
            />
          ))}
        </div>
      ) : (
        <TextArea
          label={t("Event")}
          rows={14}
          spellCheck={false}
          style={{ fontFamily: "var(--font-mono)" }}
          value={text}
          onChange={(changed) => setText(changed.target.value)}
        />
      )}
      {others.map(([name, message]) => (
        <p key={name} role="alert" className="text-block">
          {message}
        </p>
      ))}
      {event.cut && (
        <p className="text-review">{t("It was longer than what is kept of it: put in the rest before sending it.")}</p>
      )}
      {hidden && (
        <p className="text-review">{t("Something in it is hidden: put in what was sent, or leave the field empty.")}</p>
      )}
      <div className="flex flex-wrap gap-2">
        <Button look="main" type="submit" busy={busy} disabled={hidden}>
          {t("Resubmit")}
        </Button>
        {actions}
      </div>
    </form>
  );
}

const NO_FIELDS = t("This is not a JSON object, so it cannot be edited field by field.");

/** What is wrong, by field; under no name what is wrong with the whole. */
type Wrong = Readonly<Record<string, string>>;

function wrongOf(error: unknown): Wrong {
  if (!(error instanceof ApiProblem) || error.errors.length === 0) return { "": told(error) };
  return Object.fromEntries(error.errors.map((each) => [each.field ?? "", each.message]));
}

function Box({ field, error, onChange }: { field: EventField; error?: string; onChange: (to: string) => void }) {
  const masked = isMasked(field.text);
  return (
    <TextField
      label={
        <>
          {field.name}
          {field.required && <span className="text-soft"> {t("(required)")}</span>}
        </>
      }
      hint={masked ? "hidden: put in what was sent" : field.hint}
      error={error}
      value={field.text}
      spellCheck={false}
      onChange={(changed) => onChange(changed.target.value)}
    />
  );
}
