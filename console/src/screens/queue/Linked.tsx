import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Outcome } from "~/ui/Outcome";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, keyParts, percent, plural, words } from "~/words/numbers";
import { RingView } from "../entity/Ring";
import type { Link as LinkedKey } from "./cases";
import type { Case } from "./outbox";
import { SweepDialog } from "./SweepDialog";

const RECENT = 5;

/** What was decided about the same customer, card, device or address: counts, what is known, the newest. */
export function Linked({ of, links, mayDecide }: { of: Case; links: LinkedKey[]; mayDecide: boolean }) {
  const [over, setOver] = useState<LinkedKey>();
  const [ring, setRing] = useState(false);
  if (links.length === 0) return null;
  return (
    <section aria-label={t("Linked decisions")} className="flex flex-col gap-2">
      <h3 className="font-semibold">{t("Linked decisions")}</h3>
      <div className="grid gap-3 xl:grid-cols-2">
        {simplestFirst(links).map((link) => (
          <One
            key={`${link.entity}:${link.key}`}
            link={link}
            of={of}
            onSweep={mayDecide ? () => setOver(link) : undefined}
          />
        ))}
      </div>
      <Ring of={of} links={links} open={ring} onOpen={setRing} />
      {over && (
        <SweepDialog
          title={t("Every case of {entity} {key} that is not decided", {
            entity: words(over.entity),
            key: keyParts(over.key),
          })}
          meant={{ filter: { entity: over.entity, key: over.key, detector: of.detector, state: "undecided" } }}
          onClose={() => setOver(undefined)}
        />
      )}
    </section>
  );
}

/** The ring of the case's subject, else of the simplest key; looked for when somebody asks. */
function Ring({
  of,
  links,
  open,
  onOpen,
}: {
  of: Case;
  links: LinkedKey[];
  open: boolean;
  onOpen: (open: boolean) => void;
}) {
  const [first] = simplestFirst(links);
  const { entity, key } = of.subject ?? first ?? {};
  if (!entity || !key) return null;
  return (
    <details open={open} onToggle={(event) => onOpen(event.currentTarget.open)} className="rounded-md border px-3 py-2">
      <summary className="cursor-pointer">
        {t("Ring of {entity} {key}", { entity: words(entity), key: keyParts(key) })}
      </summary>
      {open && <RingView subject={{ entity, key, detector: of.detector }} />}
    </details>
  );
}

/** Keys of one field before those of several. */
function simplestFirst(links: readonly LinkedKey[]): LinkedKey[] {
  return links.toSorted((a, b) => Number(a.key.includes("|")) - Number(b.key.includes("|")));
}

function One({ link, of, onSweep }: { link: LinkedKey; of: Case; onSweep?: () => void }) {
  const { decisions, labels } = link;
  const outcomes = (["approve", "challenge", "review", "block"] as const).filter((name) => decisions[name] > 0);
  const recent = link.recent.filter((each) => each.transaction_id !== of.transaction_id).slice(0, RECENT);
  return (
    <div className="flex min-w-0 flex-col gap-1 rounded-md border px-3 py-2">
      <div className="flex flex-wrap items-baseline gap-x-2">
        <span className="text-soft">{words(link.entity)}</span>
        <Link
          to="/entities/$entity/$key"
          params={{ entity: link.entity, key: link.key }}
          search={{ detector: of.detector }}
          className="min-w-0 flex-1 break-all font-medium text-accent underline"
        >
          {keyParts(link.key)}
        </Link>
      </div>
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1 text-xs">
        <Link
          to="/transactions"
          search={{ entity: link.entity, key: link.key, detector: of.detector }}
          className="text-accent underline"
        >
          {plural(decisions.total, "decision")}
        </Link>
        {outcomes.map((name) => (
          <span key={name} className="flex items-center gap-1">
            <Outcome of={name} /> {count(decisions[name])}
          </span>
        ))}
        <span className="text-soft">
          {t("known: {fraud} fraud, {good} legitimate", { fraud: count(labels.fraud), good: count(labels.good) })}
        </span>
        {!link.counted.complete && (
          <span className="text-soft">
            {t("of the newest {decisions}", { decisions: count(link.counted.decisions) })}
          </span>
        )}
      </p>
      {onSweep && (
        <p>
          <button type="button" className="cursor-pointer text-accent text-xs underline" onClick={onSweep}>
            {t("Verdict on all its cases…")}
          </button>
        </p>
      )}
      <ul aria-label={t("Newest of this {entity}", { entity: words(link.entity) })}>
        {recent.map((each) => (
          <li key={each.transaction_id} className="flex items-center gap-2 text-xs leading-6">
            <Time at={each.event_time} />
            <Outcome of={each.decision} />
            <span className="figure w-14 whitespace-nowrap text-right">{percent(each.fraud_probability)}</span>
            <Link
              to="/transactions/$id"
              params={{ id: each.transaction_id }}
              className="min-w-0 truncate text-accent underline"
            >
              {each.explanation.reasons[0]?.text ?? each.transaction_id}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  );
}
