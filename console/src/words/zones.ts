/** The time zone in which times are shown and entered: the browser's, unless another was chosen here, which it remembers. */

import { useSyncExternalStore } from "react";

const KEY = "penstock.zone";
const MINUTE_MS = 60_000;
const listeners = new Set<() => void>();

/** The browser's own zone. */
export function ownZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** What was chosen here: the name of a zone, or nothing. */
export function chosenZone(): string | null {
  const kept = globalThis.localStorage?.getItem(KEY) ?? null;
  return kept !== null && isZone(kept) ? kept : null;
}

/** The zone in which times are shown. */
export function timeZone(): string {
  return chosenZone() ?? ownZone();
}

/** Choose a zone; nothing forgets the choice. */
export function chooseZone(zone: string | null): void {
  if (zone === null) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, zone);
  for (const listener of listeners) listener();
}

/** The zone in which times are shown, as it changes. */
export function useTimeZone(): string {
  return useSyncExternalStore(watch, timeZone);
}

function watch(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether this browser knows the zone. */
export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** The zones that can be chosen: UTC, then all of IANA's by name. */
export function allZones(): string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

const known = new Map<string, Intl.DateTimeFormat>();

/** A format in the zone in which times are shown; made once, since making one takes long. */
export function formatted(at: Date, options: Intl.DateTimeFormatOptions): string {
  const zone = timeZone();
  const key = `${zone} ${JSON.stringify(options)}`;
  const format = known.get(key) ?? new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
  known.set(key, format);
  return format.format(at);
}

/** The zone as people write it: "Europe/Berlin (UTC+1)". */
export function zone(now = new Date()): string {
  const name = timeZone();
  const parts = new Intl.DateTimeFormat("en", { timeZone: name, timeZoneName: "shortOffset" }).formatToParts(now);
  const offset = parts.find((part) => part.type === "timeZoneName")?.value.replace("GMT", "UTC") ?? "UTC";
  return name === "UTC" ? name : `${name} (${offset})`;
}

/** The instant that somebody typed into a box, in the zone in which times are shown; nothing where it is not one. */
export function instant(local: string | undefined): string | undefined {
  if (!local) return undefined;
  const wall = new Date(`${local}Z`).getTime();
  if (Number.isNaN(wall)) return undefined;
  // the offset at the instant itself, which may differ from the one at the same figures in UTC
  const near = wall - offsetMs(new Date(wall));
  return new Date(wall - offsetMs(new Date(near))).toISOString();
}

/** An instant as a box for local times takes it, to the minute; nothing where it is not one. */
export function localInput(at: string | null | undefined): string | undefined {
  if (!at) return undefined;
  const then = new Date(at);
  if (Number.isNaN(then.getTime())) return undefined;
  return new Date(then.getTime() + offsetMs(then)).toISOString().slice(0, 16);
}

/** How far the zone's clocks are ahead of UTC at an instant. */
export function offsetMs(at: Date): number {
  const [day, month, year, hour, minute] = formatted(at, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  })
    .split(/\D+/)
    .map(Number);
  const wall = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute);
  return wall - Math.floor(at.getTime() / MINUTE_MS) * MINUTE_MS;
}
