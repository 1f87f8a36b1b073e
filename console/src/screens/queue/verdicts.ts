/** The verdicts that one can give, by the words of the page. */

import type { Verdict } from "./outbox";

export const VERDICTS: readonly { value: Verdict; name: string }[] = [
  { value: "good", name: "Legitimate" },
  { value: "fraud", name: "Fraud" },
  { value: "unsure", name: "Unsure" },
];
