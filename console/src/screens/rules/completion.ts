/** What a condition may say at a place: names, functions, lists, keywords. */

import { t } from "~/words/language";
import language from "./language.json";

export interface Offer {
  label: string;
  kind: "field" | "feature" | "function" | "list" | "keyword";
  /** Its type, or its arguments and result. */
  detail: string;
  about?: string;
  /** What is written, where that is not the label. */
  apply?: string;
}

export interface Named {
  name: string;
  type: string;
  about?: string;
}

/** What a detector has that conditions may name. */
export interface Scope {
  fields: readonly Named[];
  features: readonly Named[];
  lists: readonly { name: string; about: string }[];
}

export interface Offers {
  from: number;
  offers: readonly Offer[];
}

const KEYWORDS = [
  "AND", "OR", "NOT", "BETWEEN", "IN", "IS NULL", "IS NOT NULL", "LIKE", "ILIKE",
  "CASE", "WHEN", "THEN", "ELSE", "END", "TRUE", "FALSE", "NULL", "TIMESTAMP",
]; // biome-ignore format: a list of words

const INSIDE_LIST = /\blist\(\s*'([^']*)$/i;
const INSIDE_TEXT = /^(?:[^']*'[^']*')*[^']*'[^']*$/;
const WORD = /[A-Za-z_]\w*$/;

const FUNCTIONS: readonly Offer[] = [
  ...language.map((each) => ({
    label: each.name.toLowerCase(),
    kind: "function" as const,
    detail: `(${each.takes}) → ${each.gives}`,
    about: each.meaning,
    apply: `${each.name.toLowerCase()}(`,
  })),
  {
    label: "in list",
    kind: "function",
    detail: "text IN list('name')",
    about: t("is on a list that people keep"),
    apply: t("IN list('"),
  },
];

/** What may stand at `position` of `text`; null inside a text in quotes, and where nothing has been begun unless `asked`. */
export function offersAt(text: string, position: number, scope: Scope, asked = false): Offers | null {
  const before = text.slice(0, position);
  const inList = INSIDE_LIST.exec(before);
  if (inList) {
    const offers = scope.lists.map((each) => ({
      label: each.name,
      kind: "list" as const,
      detail: "list",
      about: each.about,
    }));
    return { from: position - (inList[1] ?? "").length, offers };
  }
  if (INSIDE_TEXT.test(before)) return null;
  const word = WORD.exec(before);
  if (!word && !asked) return null;
  return {
    from: word ? word.index : position,
    offers: [
      ...scope.features.map((each) => offer(each, "feature")),
      ...scope.fields.map((each) => offer(each, "field")),
      ...FUNCTIONS,
      ...KEYWORDS.map((label) => ({ label, kind: "keyword" as const, detail: "" })),
    ],
  };
}

function offer(named: Named, kind: "field" | "feature"): Offer {
  return { label: named.name, kind, detail: `${kind}, ${named.type}`, ...(named.about ? { about: named.about } : {}) };
}
