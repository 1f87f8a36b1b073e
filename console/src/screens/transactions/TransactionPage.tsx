import { useParams, useSearch } from "@tanstack/react-router";
import { useDetectors, useFeatures } from "~/api/detectors";
import { type Context, type Decision, useAround, useDecision } from "~/api/transactions";
import { Asked, Failed, Waiting } from "~/ui/Asked";
import { Page } from "~/ui/Page";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { TransactionActions } from "../actions/TransactionActions";
import { Banner } from "./Banner";
import { ContributionsPanel } from "./ContributionsPanel";
import { EntityTiles } from "./EntityTiles";
import { EventPanel } from "./EventPanel";
import { FeaturesPanel } from "./FeaturesPanel";
import { PlacesPanel } from "./PlacesPanel";
import { RawPanel } from "./RawPanel";
import { ReasonsPanel } from "./ReasonsPanel";
import { RulesPanel } from "./RulesPanel";
import { sentence, where } from "./sentence";
import { TimelinePanel } from "./TimelinePanel";
import { VerdictPanel } from "./VerdictPanel";
import { Verification } from "./Verification";

/** One transaction: what was decided and why, and everything around it. */
export function TransactionPage() {
  const { id } = useParams({ from: "/transactions/$id" });
  const { detector } = useSearch({ from: "__root__" });
  const decision = useDecision(id, detector);
  const context = useAround(id, detector);
  return (
    <Page
      title={context.data ? sentence(context.data) : t("Transaction {id}", { id })}
      about={
        <span data-transaction={decision.data?.transaction_id}>
          {context.data && where(context.data)}
          <Time at={decision.data?.event_time} form="full" /> ·{" "}
          <span className="break-all font-mono text-xs">{id}</span>
          {decision.data && t(" · decided by {detector}", { detector: decision.data.detector })}
        </span>
      }
      actions={decision.data && <TransactionActions decision={decision.data} context={context.data} />}
    >
      <Asked of={decision} height={600}>
        {(found) => <Decided key={id} decision={found} context={context} />}
      </Asked>
    </Page>
  );
}

function Decided({ decision, context }: { decision: Decision; context: ReturnType<typeof useAround> }) {
  const served = useDetectors().data?.find((each) => each.name === decision.detector);
  const features = useFeatures(decision.detector);
  return (
    <>
      <Banner decision={decision} policy={served?.policy}>
        <Verification id={decision.transaction_id} detector={decision.detector} />
      </Banner>
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <div className="grid min-w-0 gap-4">
          <ReasonsPanel decision={decision} />
          <RulesPanel decision={decision} snoozed={context.data?.snoozed} />
          {context.data ? <VerdictPanel of={context.data} /> : <Waiting height={110} />}
        </div>
        <ContributionsPanel decision={decision} features={features} />
      </div>
      {context.isError && !context.data && <Failed error={context.error} again={() => void context.refetch()} />}
      {context.data ? <Around of={context.data} /> : !context.isError && <Waiting height={520} />}
      <div className="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <FeaturesPanel decision={decision} served={served?.features ?? []} />
        <div className="grid min-w-0 gap-4">
          {context.data && <EventPanel of={context.data} />}
          <RawPanel title={t("Decision as JSON")} of={decision} />
          {context.data && <RawPanel title={t("Context as JSON")} of={context.data} />}
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
