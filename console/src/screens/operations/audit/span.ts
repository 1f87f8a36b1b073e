/** Instants between the address, which has them in UTC, and boxes, which have them in the viewer's zone. */

/** What a box says, as an instant in UTC. */
export function instant(local: string | undefined): string | undefined {
  if (!local) return undefined;
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** An instant as a box shows it. */
export function localInput(at: string | undefined): string | undefined {
  if (!at) return undefined;
  const then = new Date(at);
  if (Number.isNaN(then.getTime())) return undefined;
  return new Date(then.getTime() - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
