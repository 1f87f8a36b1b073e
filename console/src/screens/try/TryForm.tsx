import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiProblem, BASE, fetchJson, type Schemas } from "~/api/client";
import type { Definition } from "~/api/definition";
import { useMay, useSession } from "~/session/session";
import { Button } from "~/ui/Button";
import { Select, TextArea, TextField } from "~/ui/Field";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import { Answer } from "./Answer";
import { asked, curl, event, type Field, freshId, typed } from "./event";

/** The form of a detector's events, the answer beside it, and the same as a curl. */
export function TryForm({ definition }: { definition: Definition }) {
  const fields = asked(definition.fields);
  const may = useMay(definition.name);
  const [example, setExample] = useState(0);
  const [values, setValues] = useState(() => begin(definition, 0));
  const [json, setJson] = useState<string>();
  const [dry, setDry] = useState(true);
  const path = `/detectors/${encodeURIComponent(definition.name)}/predict${dry ? "?dry_run=true" : ""}`;
  const body = json === undefined ? event(fields, values) : parsed(json);
  const sending = useMutation({
    mutationFn: async () => ({
      decision: await fetchJson<Schemas["Decision"]>(path, post(json ?? JSON.stringify(body))),
      dry,
    }),
    onSuccess: (sent) => !sent.dry && renew(),
  });

  // What was decided under an id stays decided: the next event gets another.
  function renew() {
    const id = idField(definition);
    if (id) setValues((kept) => ({ ...kept, [id]: freshId() }));
  }

  function choose(next: number) {
    setExample(next);
    setValues(begin(definition, next));
    setJson(undefined);
  }

  function submit(submitted: FormEvent) {
    submitted.preventDefault();
    sending.mutate();
  }

  return (
    <div className="grid items-start gap-4 xl:grid-cols-2">
      <Panel
        title={t("Event")}
        about={t("as {name} reads it", { name: definition.name })}
        actions={
          <Button onClick={() => setJson(json === undefined ? JSON.stringify(body, null, 2) : undefined)}>
            {json === undefined ? t("As JSON") : t("As a form")}
          </Button>
        }
      >
        <form onSubmit={submit} className="flex flex-col gap-4">
          <Select label={t("Example")} value={example} onChange={(changed) => choose(Number(changed.target.value))}>
            {definition.examples.map((each, n) => (
              <option key={each.about} value={n}>
                {each.about}
              </option>
            ))}
          </Select>
          {json === undefined ? (
            <div className="grid gap-3 sm:grid-cols-2">
              {fields.map((field) => (
                <OneField
                  key={field.name}
                  field={field}
                  value={values[field.name] ?? ""}
                  error={errorOf(sending.error, field.name)}
                  onChange={(value) => setValues({ ...values, [field.name]: value })}
                />
              ))}
            </div>
          ) : (
            <TextArea
              label={t("Event as JSON")}
              rows={14}
              spellCheck={false}
              className="font-mono"
              value={json}
              onChange={(changed) => setJson(changed.target.value)}
            />
          )}
          <div className="flex flex-wrap items-center gap-4">
            <Button look="main" type="submit" busy={sending.isPending}>
              {dry ? t("Score (dry run)") : t("Score and record")}
            </Button>
            <label className="flex items-center gap-2">
              <input
                type="checkbox"
                checked={dry}
                disabled={!may("decide")}
                onChange={(changed) => setDry(changed.target.checked)}
                className="accent-(--accent)"
              />
              {t("dry run: change and record nothing")}
            </label>
          </div>
          <Curl path={path} body={body} />
        </form>
      </Panel>
      <Answer decision={sending.data?.decision} error={sending.error} dry={sending.data?.dry ?? true} />
    </div>
  );
}

function begin(definition: Definition, n: number): Record<string, string> {
  const found = typed(definition.fields, definition.examples[n]?.event ?? {});
  const id = idField(definition);
  return id ? { ...found, [id]: freshId() } : found;
}

function idField(definition: Definition): string | undefined {
  return definition.fields.find((field) => field.roles.includes("id"))?.name;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

function post(body: string): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body };
}

function errorOf(error: unknown, field: string): string | undefined {
  return error instanceof ApiProblem ? error.errors.find((each) => each.field === field)?.message : undefined;
}

interface FieldProps {
  field: Field;
  value: string;
  error: string | undefined;
  onChange: (value: string) => void;
}

function OneField({ field, value, error, onChange }: FieldProps) {
  const label = (
    <>
      {words(field.name)}
      {!field.optional && <span className="text-soft"> {t("· required")}</span>}
    </>
  );
  const choices = field.choices?.map(String) ?? (field.type === "boolean" ? ["true", "false"] : null);
  const shared = { label, error, hint: field.description, value };
  if (choices) {
    return (
      <Select {...shared} onChange={(changed) => onChange(changed.target.value)}>
        <option value="">–</option>
        {choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </Select>
    );
  }
  const numeric = field.type === "number" || field.type === "integer";
  return (
    <TextField
      {...shared}
      inputMode={numeric ? "decimal" : undefined}
      placeholder={field.type === "time" ? "2026-02-06T10:00:00Z" : undefined}
      onChange={(changed) => onChange(changed.target.value)}
    />
  );
}

function Curl({ path, body }: { path: string; body: unknown }) {
  const { data } = useSession();
  const text = curl(`${location.origin}${BASE}${path}`, body, { key: data?.open === false });
  return (
    <div className="flex flex-col gap-1">
      <span className="flex items-center justify-between">
        <span className="font-medium text-xs">{t("cURL")}</span>
        <Button look="quiet" onClick={() => void navigator.clipboard.writeText(text)}>
          {t("Copy")}
        </Button>
      </span>
      <pre
        data-testid="curl"
        className="whitespace-pre-wrap break-all rounded-md border bg-ground p-3 font-mono text-xs"
      >
        {text}
      </pre>
    </div>
  );
}
