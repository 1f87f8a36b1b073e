import { Link } from "@tanstack/react-router";
import type { Definition } from "~/api/definition";
import { Figure, Figures } from "~/ui/Figure";
import { Time } from "~/ui/Time";
import { count, plural } from "~/words/numbers";
import { bytes } from "./bytes";

/** How fresh the state is, whether a decision computed again came out the same, and what the state costs. */
export function StateFigures({ definition }: { definition: Definition }) {
  const { freshness, parity, features, entities, versions } = definition;
  const made = features.filter((each) => each.made).length;
  return (
    <>
      <Figures label="State of the features">
        <Figure
          name="Features"
          value={count(features.length)}
          about={made ? `${count(made)} made by people` : "all from the detector's file"}
        />
        <Figure
          name="Newest event in state"
          value={<Time at={freshness.newest_event_at} form="ago" />}
          about={<Time at={freshness.newest_event_at} form="full" />}
        />
        <Figure
          name="Newest decision"
          value={<Time at={freshness.newest_decided_at} form="ago" />}
          about={<Time at={freshness.newest_decided_at} form="full" />}
        />
        <Figure
          name="Parity"
          value={parity ? (parity.identical ? "✓ identical" : "✗ differs") : "not verified"}
          tone={parity ? (parity.identical ? "text-approve" : "text-block") : ""}
          about={
            parity ? (
              <>
                {count(parity.checked)} checked, {count(parity.differing)} differ,{" "}
                <Link to="/transactions/$id" params={{ id: parity.transaction_id }} className="text-accent underline">
                  last <Time at={parity.checked_at} form="ago" />
                </Link>
              </>
            ) : (
              "a transaction's page computes it again"
            )
          }
        />
        <Figure
          name="Keys in state"
          value={count(entities.reduce((sum, each) => sum + each.keys, 0))}
          about={`of ${plural(entities.length, "entity", "entities")}`}
        />
        <Figure
          name="Memory of the state"
          value={bytes(entities.reduce((sum, each) => sum + each.bytes, 0))}
          about="see entities below"
        />
        <Figure
          name="Detector"
          value={<code className="font-mono text-base">{versions.detector}</code>}
          about="the version that decisions name"
        />
        <Figure
          name="Model"
          value={<code className="font-mono text-base">{versions.model ?? "rules alone"}</code>}
          about="that reads them"
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
