/** What became of an attack that somebody began in the demo: which of its payments were stopped, and how soon. */

import type { Summary } from "~/api/summaries";
import type { LiveAlert } from "~/live/feed";

export const WATCHED_MS = 120_000;

export interface Attack {
  name: string;
  /** When its button was pressed, by this page's clock, in milliseconds. */
  pressedMs: number;
  /** The ids of its payments, as the simulator told. */
  payments: ReadonlySet<string>;
  /** Those of its payments that this page knows to be stopped. */
  stopped: ReadonlySet<string>;
  /** The first stopped one that this page saw, and how long after the press. */
  first: { decision: Summary; afterMs: number } | null;
  /** The first alert about one of its payments, and how long after the press. */
  alert: { alert: LiveAlert; afterMs: number } | null;
}

export function begun(name: string, payments: readonly string[], pressedMs: number): Attack {
  return { name, pressedMs, payments: new Set(payments), stopped: new Set(), first: null, alert: null };
}

/** The attack after the page saw these decisions and alerts, at `nowMs`; those of others do not count. */
export function seen(
  attack: Attack,
  decisions: readonly Summary[],
  alerts: readonly LiveAlert[],
  nowMs: number,
): Attack {
  const own = decisions.filter((each) => attack.payments.has(each.transaction_id) && each.decision !== "APPROVE");
  const fresh = own.filter((each) => !attack.stopped.has(each.transaction_id));
  const alert = alerts.find((each) => each.transaction_id && attack.payments.has(each.transaction_id));
  if (fresh.length === 0 && (attack.alert || !alert)) return attack;
  const afterMs = nowMs - attack.pressedMs;
  const earliest = [...fresh].sort((one, other) => one.decided_at.localeCompare(other.decided_at))[0];
  return {
    ...attack,
    stopped: new Set([...attack.stopped, ...fresh.map((each) => each.transaction_id)]),
    first: attack.first ?? (earliest ? { decision: earliest, afterMs } : null),
    alert: attack.alert ?? (alert ? { alert, afterMs } : null),
  };
}

/** Whether there may be more to come. */
export function isWatched(attack: Attack, nowMs: number): boolean {
  return nowMs - attack.pressedMs < WATCHED_MS && attack.stopped.size < attack.payments.size;
}
