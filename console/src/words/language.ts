/**
 * Texts in the reader's language. The key of a text is its English wording; each other language has one catalogue,
 * `catalogue/LANGUAGE.json`. What the service says, such as reasons and errors, comes in English.
 */

import i18next from "i18next";

const KEY = "penstock.language";

/** The languages of the console, each by its own name. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

const catalogues: Record<Exclude<Language, "en">, () => Promise<{ default: Record<string, string> }>> = {
  de: () => import("./catalogue/de.json"),
};

/** The language that was chosen here; else the browser's, if the console has it; else English. */
export function language(): Language {
  const chosen = globalThis.localStorage?.getItem(KEY);
  return [chosen, globalThis.navigator?.language.slice(0, 2)].find(isLanguage) ?? "en";
}

/** Choose a language: the page loads again in it. */
export function chooseLanguage(chosen: Language): void {
  localStorage.setItem(KEY, chosen);
  location.reload();
}

/** Load the catalogue of the language, before anything else is loaded that has texts. */
export async function startLanguage(): Promise<void> {
  const chosen = language();
  document.documentElement.lang = chosen;
  start(chosen, chosen === "en" ? {} : (await catalogues[chosen]()).default);
}

type Value = string | number | boolean | null | undefined;

/** A text in the reader's language; `{name}` in it stands for a value. With `count`, its form for this number. */
export function t(text: string, values?: Readonly<Record<string, Value>>): string {
  if (values === undefined) return i18next.t(text, { skipInterpolation: true });
  const said = Object.entries(values).map(([name, value]) => [name, typeof value === "number" ? value : String(value)]);
  return i18next.t(text, Object.fromEntries(said) as Record<string, string>);
}

function start(lng: string, catalogue: Record<string, string>): void {
  void i18next.init({
    lng,
    resources: { [lng]: { translation: catalogue } },
    keySeparator: false,
    nsSeparator: false,
    interpolation: { prefix: "{", suffix: "}", escapeValue: false },
    initAsync: false,
  });
}

function isLanguage(name: string | null | undefined): name is Language {
  return name != null && name in LANGUAGES;
}

start("en", {}); // for what is loaded without a page, such as tests
