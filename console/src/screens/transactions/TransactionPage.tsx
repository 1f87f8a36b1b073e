import { useParams, useSearch } from "@tanstack/react-router";
import { useDetectors } from "~/api/detectors";
import { type Context, type Decision, useAround, useDecision } from "~/api/transactions";
import { Asked, Failed, Waiting } from "~/ui/Asked";
import { Page } from "~/ui/Page";
import { money } from "~/words/numbers";
import { Banner } from "./Banner";
import { ContributionsPanel } from "./ContributionsPanel";
import { EntityTiles } from "./EntityTiles";
import { EventPanel } from "./EventPanel";
import { FeaturesPanel } from "./FeaturesPanel";
import { PlacesPanel } from "./PlacesPanel";
import { RawPanel } from "./RawPanel";
import { ReasonsPanel } from "./ReasonsPanel";
import { RulesPanel } from "./RulesPanel";
import { TimelinePanel } from "./TimelinePanel";
import { VerdictPanel } from "./VerdictPanel";
import { Verification } from "./Verification";

/** One transaction: what was decided and why, and everything around it. */
export function TransactionPage() {
  const { id } = useParams({ from: "/transactions/$id" });
  const { detector } = useSearch({ from: "__root__" });
  const decision = useDecision(id, detector);
  return (
    <Page title={`Transaction ${id}`} about={decision.data && `Decided by ${decision.data.detector}`}>
      <Asked of={decision} height={600}>
        {(found) => <Decided key={id} decision={found} detector={detector} />}
      </Asked>
    </Page>
  );
}

function Decided({ decision, detector }: { decision: Decision; detector: string | undefined }) {
  const served = useDetectors().data?.find((each) => each.name === decision.detector);
  const context = useAround(decision.transaction_id, detector);
  const amount = context.data ? amountOf(context.data) : null;
  return (
    <>
      <Banner decision={decision} policy={served?.policy} amount={amount === null ? null : money(amount)}>
        <Verification id={decision.transaction_id} detector={decision.detector} />
      </Banner>
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <div className="grid min-w-0 gap-4">
          <ReasonsPanel decision={decision} />
          <RulesPanel decision={decision} />
          {context.data ? <VerdictPanel of={context.data} /> : <Waiting height={110} />}
        </div>
        <ContributionsPanel decision={decision} />
      </div>
      {context.isError && !context.data && <Failed error={context.error} again={() => void context.refetch()} />}
      {context.data ? <Around of={context.data} /> : !context.isError && <Waiting height={520} />}
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <FeaturesPanel decision={decision} served={served?.features ?? []} />
        <div className="grid min-w-0 gap-4">
          {context.data && <EventPanel of={context.data} />}
          <RawPanel title="Decision as JSON" of={decision} />
          {context.data && <RawPanel title="Everything around it as JSON" of={context.data} />}
        </div>
      </div>
    </>
  );
}

function Around({ of: context }: { of: Context }) {
  return (
    <>
      <EntityTiles of={context} />
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        {context.timeline && <TimelinePanel of={context.timeline} context={context} />}
        <PlacesPanel of={context} />
      </div>
    </>
  );
}

/** What it was worth, as its own entry in the timeline says. */
function amountOf(context: Context): number | null {
  return context.timeline?.transactions.find((each) => each.this)?.amount ?? null;
}
