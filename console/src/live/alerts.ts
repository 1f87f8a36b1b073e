/** The alerts that this page was told of: the newest, and how many there were. None is lost while the page is elsewhere. */

import { useSyncExternalStore } from "react";
import type { LiveAlert } from "./feed";

export const KEPT = 200;

export interface Alerts {
  /** Newest first, at most `KEPT`. */
  newest: readonly LiveAlert[];
  /** How many were told since the page was opened. */
  told: number;
}

/** The alerts with these added. What was told before, by its number, is not counted again. */
export function withMore(alerts: Alerts, more: readonly LiveAlert[]): Alerts {
  const last = alerts.newest[0]?.number ?? -1;
  const fresh = more.filter((alert) => alert.number > last);
  if (fresh.length === 0) return alerts;
  const sorted = [...fresh].sort((one, other) => other.number - one.number);
  return { newest: [...sorted, ...alerts.newest].slice(0, KEPT), told: alerts.told + fresh.length };
}

/** Alerts of one rule about one subject. */
export interface AlertGroup {
  key: string;
  /** Newest first. */
  alerts: readonly [LiveAlert, ...LiveAlert[]];
}

/** The alerts by rule and subject, the group with the newest alert first. */
export function grouped(alerts: readonly LiveAlert[]): AlertGroup[] {
  const groups = new Map<string, [LiveAlert, ...LiveAlert[]]>();
  for (const alert of alerts) {
    const key = JSON.stringify([alert.detector, alert.rule, Object.entries(alert.about ?? {}).sort()]);
    const known = groups.get(key);
    if (known) known.push(alert);
    else groups.set(key, [alert]);
  }
  return [...groups].map(([key, some]) => ({ key, alerts: some }));
}

let alerts: Alerts = { newest: [], told: 0 };
const listeners = new Set<() => void>();

/** Keep these, too. */
export function keepAlerts(more: readonly LiveAlert[]): void {
  const now = withMore(alerts, more);
  if (now === alerts) return;
  alerts = now;
  for (const listener of listeners) listener();
}

/** The alerts, as they come. */
export function useAlerts(): Alerts {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => alerts,
  );
}
