import { Link } from "@tanstack/react-router";
import type { Definition } from "~/api/definition";
import { Figure, Figures } from "~/ui/Figure";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, plural } from "~/words/numbers";
import { bytes } from "./bytes";

/** How fresh the state is, whether a decision computed again came out the same, and what the state costs. */
export function StateFigures({ definition }: { definition: Definition }) {
  const { freshness, parity, features, entities, versions } = definition;
  const made = features.filter((each) => each.made).length;
  return (
    <>
      <Figures label={t("State of the features")}>
        <Figure
          name={t("Features")}
          value={count(features.length)}
          about={made ? t("{made} made by people", { made: count(made) }) : t("all from the detector's file")}
        />
        <Figure
          name={t("Newest event in state")}
          value={<Time at={freshness.newest_event_at} form="ago" />}
          about={<Time at={freshness.newest_event_at} form="full" />}
        />
        <Figure
          name={t("Newest decision")}
          value={<Time at={freshness.newest_decided_at} form="ago" />}
          about={<Time at={freshness.newest_decided_at} form="full" />}
        />
        <Figure
          name={t("Parity")}
          value={parity ? (parity.identical ? t("✓ identical") : t("✗ differs")) : t("not verified")}
          tone={parity ? (parity.identical ? "text-approve" : "text-block") : ""}
          about={
            parity ? (
              <>
                {t("{checked} checked, {differing} differ,", {
                  checked: count(parity.checked),
                  differing: count(parity.differing),
                })}{" "}
                <Link to="/transactions/$id" params={{ id: parity.transaction_id }} className="text-accent underline">
                  {t("last")} <Time at={parity.checked_at} form="ago" />
                </Link>
              </>
            ) : (
              t("a transaction's page computes it again")
            )
          }
        />
        <Figure
          name={t("Keys in state")}
          value={count(entities.reduce((sum, each) => sum + each.keys, 0))}
          about={t("of {n}", { n: plural(entities.length, "entity", "entities") })}
        />
        <Figure
          name={t("Memory of the state")}
          value={bytes(entities.reduce((sum, each) => sum + each.bytes, 0))}
          about={t("see entities below")}
        />
        <Figure
          name={t("Detector")}
          value={<code className="font-mono text-base">{versions.detector}</code>}
          about={t("the version that decisions name")}
        />
        <Figure
          name={t("Model")}
          value={<code className="font-mono text-base">{versions.model ?? t("rules alone")}</code>}
          about={t("that reads them")}
        />
      </Figures>
      {freshness.notes.length > 0 && (
        <ul className="list-disc rounded-lg border bg-panel py-3 pr-4 pl-8 text-soft">
          {freshness.notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </>
  );
}
