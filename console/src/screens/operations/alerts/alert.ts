/** An alert as the service keeps it, read with care: its form belongs to whoever declared it. */

export interface Alert {
  key: string;
  rule: string;
  detector: string;
  severity: string;
  at: string;
  text: string;
  transaction?: string;
  suppressed: number;
}

/** What is shown of an alert. */
export function alertOf(found: Readonly<Record<string, unknown>>): Alert {
  const said = (name: string) => (typeof found[name] === "string" ? String(found[name]) : "");
  return {
    key: said("key"),
    rule: said("rule"),
    detector: said("detector"),
    severity: said("severity"),
    at: said("at"),
    text: said("text"),
    transaction: said("transaction_id") || undefined,
    suppressed: typeof found.suppressed === "number" ? found.suppressed : 0,
  };
}
