import { t } from "~/words/language";
/** A feature while it is written, and what is sent of it. */

export const AGGREGATES = [
  "count",
  "sum",
  "mean",
  "std",
  "min",
  "max",
  "median",
  "quantile",
  "approx_quantile",
  "distinct",
  "mode",
  "share_of_top",
  "entropy",
  "session_count",
  "session_sum",
  "session_duration",
  "last",
  "first",
  "since_last",
  "since_first",
  "label_count",
  "label_rate",
] as const;

export type AggregateKind = (typeof AGGREGATES)[number];

const SCANNED = new Set<string>(["median", "quantile", "mode", "share_of_top", "entropy"]);
const OF_A_FIELD = new Set<string>([
  ...["sum", "mean", "std", "min", "max", "distinct", "session_sum", "last", "first", "approx_quantile"],
  ...SCANNED,
]);
const FOR_EVER = new Set<string>(["first", "since_first"]);
const REMEMBERED = new Set<string>(["last", "first", "since_last", "since_first"]);
const SESSIONS = new Set<string>(["session_count", "session_sum", "session_duration"]);

export interface FeatureDraft {
  name: string;
  /** An expression over other columns, or an aggregate over the events of a key. */
  form: "derived" | "aggregate";
  derive: string;
  kind: AggregateKind;
  /** An entity that is there, or "" for a new one. */
  entity: string;
  newEntity: string;
  keys: string;
  field: string;
  window: string;
  delay: string;
  where: string;
  role: string;
  /** Events of another type that are counted in place of transactions; "" for transactions. */
  of: string;
  /** A label_count looks at when the events were, or at when their labels became known. */
  by: "event" | "known";
  /** Which quantile, from 0 to 1. */
  q: string;
  /** How many values of the window are read at most, the newest; "" for the default. */
  most: string;
  /** The event itself counts, too. */
  current: boolean;
  note: string;
}

export const EMPTY: FeatureDraft = {
  name: "",
  form: "aggregate",
  derive: "",
  kind: "count",
  entity: "",
  newEntity: "",
  keys: "",
  field: "",
  window: "1h",
  delay: "",
  where: "",
  role: "",
  of: "",
  by: "event",
  q: "0.9",
  most: "",
  current: true,
  note: "",
};

/** What a form of this kind asks for. */
export function asks(kind: string) {
  const remembered = REMEMBERED.has(kind);
  return {
    field: OF_A_FIELD.has(kind),
    window: !FOR_EVER.has(kind),
    gap: SESSIONS.has(kind),
    delay: !remembered && !SESSIONS.has(kind),
    current: !remembered,
    q: kind === "quantile" || kind === "approx_quantile",
    most: SCANNED.has(kind),
  };
}

export type Body = Record<string, string | number | boolean | string[]>;

/** What is sent: only what this kind of feature has, and what was said. */
export function bodyOf(draft: FeatureDraft): Body {
  if (draft.form === "derived") return { derive: draft.derive.trim() };
  const { kind } = draft;
  const asked = asks(kind);
  const body: Body = { kind, entity: draft.entity || draft.newEntity.trim() };
  if (!draft.entity) body.keys = listed(draft.keys);
  if (asked.field) body.field = draft.field;
  if (asked.window && draft.window.trim() !== "") body.window = draft.window.trim();
  if (asked.delay && draft.delay.trim() !== "") body.delay = draft.delay.trim();
  if (asked.current && !draft.current) body.current = false;
  if (asked.q) setNumber(body, "q", draft.q);
  if (asked.most) setNumber(body, "most", draft.most);
  if (draft.where.trim() !== "") body.where = draft.where.trim();
  if (draft.role !== "") body.role = draft.role;
  if (draft.of !== "") body.of = [draft.of];
  if (kind === "label_count" && draft.by === "known") body.by = "known";
  return body;
}

/** A draft that says what a version says. */
export function draftOf(
  name: string,
  body: Readonly<Record<string, unknown>>,
  entities: readonly string[],
): FeatureDraft {
  const said = (key: string) => (typeof body[key] === "string" ? (body[key] as string) : "");
  if (said("derive")) return { ...EMPTY, name, form: "derived", derive: said("derive") };
  const known = entities.includes(said("entity"));
  return {
    ...EMPTY,
    name,
    kind: AGGREGATES.find((each) => each === body.kind) ?? "count",
    entity: known ? said("entity") : "",
    newEntity: known ? "" : said("entity"),
    keys: Array.isArray(body.keys) ? body.keys.join(", ") : "",
    field: said("field"),
    window: said("window"),
    delay: said("delay"),
    where: said("where"),
    role: said("role"),
    of: Array.isArray(body.of) ? String(body.of[0] ?? "") : "",
    by: body.by === "known" ? "known" : "event",
    q: typeof body.q === "number" ? String(body.q) : EMPTY.q,
    most: typeof body.most === "number" ? String(body.most) : "",
    current: body.current !== false,
  };
}

/** Whether enough is said to ask the service about it. */
export function isBegun(draft: FeatureDraft): boolean {
  if (!/^[A-Za-z_]\w*$/.test(draft.name)) return false;
  if (draft.form === "derived") return draft.derive.trim() !== "";
  return (draft.entity || draft.newEntity.trim()) !== "" && (!asks(draft.kind).field || draft.field !== "");
}

/** A body in one line: its expression, or "sum of amount by customer, 24h, where amount < 5". */
export function inWords(body: Readonly<Record<string, unknown>>): string {
  if (typeof body.derive === "string") return body.derive;
  const parts = [
    `${body.kind}${body.q === undefined ? "" : ` ${body.q}`}${body.field ? t(" of {field}", { field: String(body.field) }) : ""}${body.entity ? t(" by {entity}", { entity: String(body.entity) }) : ""}`,
    Array.isArray(body.of) && body.of.length > 0 && t("of {value} events", { value: body.of.join(", ") }),
    body.window,
    body.most && t("of the newest {most} values", { most: String(body.most) }),
    body.by === "known" && t("by when labels became known"),
    body.delay && t("delayed by {delay}", { delay: String(body.delay) }),
    body.current === false && t("without the event itself"),
    body.where && t("where {where}", { where: String(body.where) }),
    body.role && t("as {role}", { role: String(body.role) }),
    body.at && t("at {at}", { at: String(body.at) }),
  ];
  return parts.filter(Boolean).join(", ");
}

function setNumber(body: Body, name: string, text: string): void {
  if (text.trim() !== "" && Number.isFinite(Number(text))) body[name] = Number(text);
}

function listed(text: string): string[] {
  return text
    .split(/[\s,]+/)
    .map((each) => each.trim())
    .filter((each) => each !== "");
}
