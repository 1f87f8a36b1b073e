/** Addresses of the console from before they were paths. */

/** The address of today for the service's own ("/") and for one behind `#` ("/#/queue?case=1"); null where it is one. */
export function modernAddress(
  { pathname, search, hash }: Pick<Location, "pathname" | "search" | "hash">,
  base: string,
): string | null {
  if (hash.startsWith("#/")) return `${base}/console${hash.slice(1)}`;
  return pathname === `${base}/` || pathname === base ? `${base}/console/${search}` : null;
}
