/** Light or dark: as the system says unless somebody chose one here, which this browser remembers. */

import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";
export type Choice = Theme | "system";

export const CHOICES: readonly Choice[] = ["system", "light", "dark"];
const KEY = "penstock.theme";
const dark = () => window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

/** What was chosen here. */
export function choice(): Choice {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** The theme that is shown. */
export function theme(): Theme {
  const chosen = choice();
  return chosen === "system" ? (dark().matches ? "dark" : "light") : chosen;
}

/** Choose one; "system" forgets the choice. */
export function choose(chosen: Choice): void {
  if (chosen === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, chosen);
  apply();
}

/** Show it, now and whenever the system changes. */
export function start(): void {
  apply();
  dark().addEventListener("change", apply);
}

function apply(): void {
  document.documentElement.dataset.theme = theme();
  for (const listener of listeners) listener();
}

function watch(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The theme that is shown, as it changes. */
export function useTheme(): Theme {
  return useSyncExternalStore(watch, theme);
}

/** What was chosen here, as it changes. */
export function useChoice(): Choice {
  return useSyncExternalStore(watch, choice);
}
