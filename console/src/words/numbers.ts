/** Numbers, shares and money as people read them. What is not known is a dash, never a zero. */

import { t } from "~/words/language";
import { duration } from "./times";

export const UNKNOWN = "–";

type Known = number | null | undefined;

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

/** A count: exact below a million. */
export function count(n: Known): string {
  if (n == null) return UNKNOWN;
  return Math.abs(n) < 1e6 ? whole.format(n) : compact.format(n);
}

/** A share of one, in percent: 0.0123 is "1.2 %". */
export function percent(share: Known): string {
  if (share == null) return UNKNOWN;
  if (share > 0 && share < 0.0001) return "<0.01 %";
  return `${(100 * share).toFixed(share < 0.1 && share > 0 ? 2 : 1)} %`;
}

/** A rate per second. */
export function perSecond(rate: Known): string {
  if (rate == null) return UNKNOWN;
  return rate < 100 ? rate.toFixed(1) : whole.format(Math.round(rate));
}

/** Milliseconds. */
export function ms(value: Known): string {
  if (value == null) return UNKNOWN;
  return value < 10
    ? t("{value} ms", { value: value.toFixed(2) })
    : t("{value} ms", { value: whole.format(Math.round(value)) });
}

/** An amount, with its currency where it is known. */
export function money(amount: Known, currency?: string | null): string {
  if (amount == null) return UNKNOWN;
  const large = Math.abs(amount) >= 1e6;
  const options: Intl.NumberFormatOptions = large
    ? { notation: "compact", maximumFractionDigits: 2 }
    : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  if (!currency) return new Intl.NumberFormat("en", options).format(amount);
  try {
    return new Intl.NumberFormat("en", { ...options, style: "currency", currency }).format(amount);
  } catch {
    return `${new Intl.NumberFormat("en", options).format(amount)} ${currency}`;
  }
}

/** Sums by currency, which are never added up: "€1,200.00 and $30.00". */
export function sums(amounts: readonly { currency: string | null; amount: number }[]): string {
  return amounts.map((each) => money(each.amount, each.currency)).join(t(" and ")) || money(0);
}

/** A rate of known outcomes with its 95 % interval; below 30 of these the service gives no value, and only counts are said. */
export function rate(of: {
  value: number | null;
  low: number | null;
  high: number | null;
  of: number;
  part: number;
}): string {
  if (of.value === null) return of.of ? t("{part} of {of} known", { part: count(of.part), of: count(of.of) }) : UNKNOWN;
  return t("{value} ({low} to {high})", { value: percent(of.value), low: percent(of.low), high: percent(of.high) });
}

/** Any value of an event or a feature. */
export function value(found: unknown): string {
  if (found === null || found === undefined) return UNKNOWN;
  if (typeof found === "number") return short.format(found);
  if (typeof found === "boolean") return found ? t("yes") : t("no");
  return typeof found === "string" ? found : JSON.stringify(found);
}

/** A value of a feature in its unit: 10628.95 of a duration is "3 h". */
export function quantity(found: unknown, unit: string | null | undefined): string {
  if (typeof found !== "number") return value(found);
  if (unit === "duration") return Math.abs(found) < 10 ? `${Number(found.toFixed(1))} s` : duration(found);
  if (unit === "km") return t("{found} km", { found: value(found) });
  if (unit === "times") return `${value(found)} ×`;
  return unit === "share" ? percent(found) : value(found);
}

/** The size of a file: 1234567 bytes are "1.235 MB". */
export function fileSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000
    ? t("{value} kB", { value: short.format(bytes / 1_000) })
    : t("{value} MB", { value: short.format(bytes / 1_000_000) });
}

/** A name of a feature, rule, reason or state in words: amount_ratio is "amount ratio". */
export function words(name: string): string {
  return t(name.replaceAll("_", " "));
}

/** A verdict or label as people read it: the label "good" is said as legitimate. */
export function verdictWord(verdict: string): string {
  return verdict === "good" ? t("legitimate") : t(verdict);
}

/** What a label says. */
export function labelWord(fraud: boolean): string {
  return fraud ? t("fraud") : t("legitimate");
}

/** An entity key of several fields by its parts. */
export function keyParts(key: string): string {
  return key.split("|").join(" · ");
}

/** "1 review", "2 reviews". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${t(n === 1 ? one : many)}`;
}
