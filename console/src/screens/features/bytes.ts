import { UNKNOWN } from "~/words/numbers";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** Memory in the largest unit that has at least one of it: 1,536 is "1.5 kB". */
export function bytes(n: number | null | undefined): string {
  if (n == null) return UNKNOWN;
  const step = n < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(n) / 3));
  const size = n / 1000 ** step;
  return `${size < 10 && step > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[step]}`;
}
