import { Link } from "@tanstack/react-router";
import { Outcome } from "~/ui/Outcome";
import { t } from "~/words/language";
import { value, words } from "~/words/numbers";
import type { Detail } from "./cases";
import type { Case } from "./outbox";

interface Props {
  of: Case;
  decision: Detail["decision"];
  personal: Detail["personal"];
}

/** Why it was decided so, in words; the rules that fired; what personal fields say to those who may see them. */
export function Why({ of, decision, personal }: Props) {
  const explained = decision?.explanation;
  return (
    <section aria-label={t("Why")} className="flex min-w-0 flex-col gap-2">
      <h3 className="font-semibold">{t("Why")}</h3>
      {decision?.degraded && (
        <p className="rounded-md border border-review px-2 py-1 text-review">
          {t("Degraded: {cause}", { cause: decision.degraded.cause })}
        </p>
      )}
      {explained?.reasons.length ? (
        <ol className="flex list-decimal flex-col gap-1 pl-5">
          {explained.reasons.map((reason) => (
            <li key={reason.code}>{reason.text}</li>
          ))}
        </ol>
      ) : (
        <p className="text-soft">{of.reason ?? t("No reason was given: it was chosen at random.")}</p>
      )}
      {explained && explained.rules.length > 0 && (
        <ul aria-label={t("Rules that fired")} className="flex flex-wrap gap-2">
          {explained.rules.map((rule) => (
            <li key={rule.name} className="flex items-center gap-1">
              <Outcome of={rule.action} />
              <Link
                to="/rules/$detectorName/$rule"
                params={{ detectorName: of.detector, rule: rule.name }}
                className="text-accent underline"
              >
                {words(rule.name)}
              </Link>
            </li>
          ))}
        </ul>
      )}
      {personal && <Personal fields={personal} />}
    </section>
  );
}

function Personal({ fields }: { fields: NonNullable<Detail["personal"]> }) {
  const said = Object.entries(fields.fields ?? {});
  if (said.length === 0) return null;
  return (
    <dl aria-label={t("Personal fields")} className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5 border-t pt-2">
      {said.map(([name, found]) => (
        <div key={name} className="contents">
          <dt className="text-soft">{words(name)}</dt>
          <dd className="break-all">{value(found)}</dd>
        </div>
      ))}
    </dl>
  );
}
