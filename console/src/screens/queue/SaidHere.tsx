import { Button } from "~/ui/Button";
import { t } from "~/words/language";
import { count, money } from "~/words/numbers";
import { outbox } from "./cases";
import { actInWords, type Said } from "./outbox";

const SHOWN = 5;

/** What was said here: how much is kept, what is still on its way, and what was refused, to be tried again. */
export function SaidHere({ said, onLook }: { said: readonly Said[]; onLook: (id: string) => void }) {
  if (said.length === 0) return null;
  const refused = said.filter((each) => each.state === "refused");
  const kept = said.filter((each) => each.state === "done");
  const sending = said.length - refused.length - kept.length;
  return (
    <section aria-label={t("Said here")} className="sticky bottom-0 border-t bg-ground px-3 py-2 text-xs">
      <p role="status">
        {t("{n} saved", { n: count(kept.length) })}
        {sending > 0 && t(", {sending} on the way", { sending: count(sending) })}
        {refused.length > 0 && t(", {n} refused", { n: count(refused.length) })}
      </p>
      <ul className="flex flex-col gap-1 pt-1">
        {refused.map((each) => (
          <li key={each.id} className="flex flex-wrap items-center gap-2 text-block">
            <span className="min-w-0 flex-1">
              {money(each.about.amount, each.about.currency)}, {actInWords(each.act)}: {each.why}
            </span>
            <Button onClick={() => outbox.again(each)}>{t("Try again")}</Button>
            <Button onClick={() => outbox.drop(each)}>{t("Drop")}</Button>
          </li>
        ))}
        {kept.slice(0, SHOWN).map((each) => (
          <li key={each.id}>
            <button
              type="button"
              className="cursor-pointer text-left text-accent underline"
              onClick={() => onLook(each.about.id)}
            >
              {money(each.about.amount, each.about.currency)}, {actInWords(each.act)}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
