import { told } from "~/ui/Asked";
import { t } from "~/words/language";
import type { RuleVersion } from "./books";
import { Consequences } from "./Consequences";
import { draftOf, useTried } from "./draft";

const DAYS = 30;

/** Before a version becomes live: how many outcomes it would have changed a day, of what was recorded. */
export function Lowering({ detector, version }: { detector: string; version: RuleVersion }) {
  const tried = useTried(detector, draftOf(version), DAYS, true, true);
  if (tried.isError)
    return <p className="text-soft">{t("The changes cannot be counted: {error}", { error: told(tried.error) })}</p>;
  if (!tried.data) return <p className="text-soft">{t("Counting the decisions that change …")}</p>;
  return <Consequences tried={tried.data} />;
}
