/** The verdicts that one can give, by the words of the page. */

import { t } from "~/words/language";
import type { Verdict } from "./outbox";

export const VERDICTS: readonly { value: Verdict; name: string }[] = [
  { value: "good", name: t("Legitimate") },
  { value: "fraud", name: t("Fraud") },
  { value: "unsure", name: t("Unsure") },
];
