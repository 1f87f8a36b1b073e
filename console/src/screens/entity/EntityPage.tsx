import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { api, type Schemas, say } from "~/api/client";
import { useFeatures } from "~/api/detectors";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Figure, Figures } from "~/ui/Figure";
import { Page } from "~/ui/Page";
import { Panel } from "~/ui/Panel";
import { Time } from "~/ui/Time";
import { t } from "~/words/language";
import { count, keyParts, labelWord, percent, quantity, UNKNOWN, words } from "~/words/numbers";
import { EntityActions } from "../actions/EntityActions";
import { RecentTable } from "./RecentTable";
import { RingView, type Subject, useRing } from "./Ring";

type Profile = Schemas["RiskProfile"];

function useProfile({ entity, key, detector }: Subject) {
  return useQuery({
    queryKey: ["profile", entity, key, detector],
    queryFn: async () =>
      say(
        await api.GET("/users/{key}/risk-profile", { params: { path: { key }, query: { entity, detector } } }),
      ) as Profile,
  });
}

/** One customer, device, card, place or merchant: what is known, what was decided, what is linked. */
export function EntityPage() {
  const { entity, key } = useParams({ from: "/entities/$entity/$key" });
  const { detector } = useSearch({ from: "__root__" });
  const subject = { entity, key, detector };
  const profile = useProfile(subject);
  return (
    <Page
      title={`${words(entity)} ${keyParts(key)}`}
      about={<Listed subject={subject} />}
      actions={
        profile.data && (
          <EntityActions entity={profile.data.entity} keyed={profile.data.key} detector={profile.data.detector} />
        )
      }
    >
      <Asked of={profile} height={400}>
        {(found) => (
          <>
            <Decisions profile={found} />
            <div className="grid items-start gap-4 xl:grid-cols-2">
              <Panel
                title={t("Ring")}
                about={t("Keys linked with it through what few share; the outcome is the gravest of each.")}
              >
                <RingView key={`${entity}:${key}`} subject={subject} />
              </Panel>
              <Features profile={found} />
            </div>
            <Labels profile={found} />
            <Panel
              title={t("Latest transactions")}
              about={
                <Link to="/transactions" search={{ entity, key }} className="text-accent underline">
                  {t("all {total} of them", { total: count(found.decisions.total) })}
                </Link>
              }
              flush
            >
              <RecentTable entity={found.entity} keyed={found.key} detector={found.detector} />
            </Panel>
          </>
        )}
      </Asked>
    </Page>
  );
}

function Listed({ subject }: { subject: Subject }) {
  const lists = useRing(subject).data?.nodes[0]?.lists ?? [];
  return (
    <span className="flex min-h-5 gap-2">
      {lists.map((name) => (
        <Link key={name} to="/rules" search={{ tab: "lists" }}>
          <Badge tone="warn">{t("on the list {name}", { name: words(name) })}</Badge>
        </Link>
      ))}
    </span>
  );
}

function Decisions({ profile }: { profile: Profile }) {
  const { decisions, labels, counted, entity, key } = profile;
  const to = (decision?: string) => ({ to: "/transactions" as const, search: { entity, key, decision } });
  return (
    <>
      <Figures label={t("Decisions")}>
        <Figure name={t("Transactions")} value={<Link {...to()}>{count(decisions.total)}</Link>} />
        <Figure name={t("Approved")} value={<Link {...to("approve")}>{count(decisions.approve)}</Link>} />
        <Figure
          name={t("To review")}
          value={<Link {...to("review")}>{count(decisions.review)}</Link>}
          tone="text-review"
        />
        <Figure
          name={t("Blocked")}
          value={<Link {...to("block")}>{count(decisions.block)}</Link>}
          tone={decisions.block > 0 ? "text-block" : ""}
        />
        <Figure
          name={t("Known fraud")}
          value={count(labels.fraud)}
          about={t("{good} known legitimate", { good: count(labels.good) })}
        />
        <Figure name={t("Highest score")} value={percent(decisions.highest_score)} />
        <Figure
          name={t("First seen")}
          value={<Time at={decisions.first_seen} form="ago" />}
          about={<Time at={decisions.first_seen} form="full" />}
        />
        <Figure
          name={t("Last seen")}
          value={<Time at={decisions.last_seen} form="ago" />}
          about={<Time at={decisions.last_seen} form="full" />}
        />
      </Figures>
      {!counted.complete && (
        <p className="text-soft text-xs">
          {t("Counted over the newest {decisions} decisions, since", { decisions: count(counted.decisions) })}{" "}
          <Time at={counted.since} form="full" />.
        </p>
      )}
    </>
  );
}

function Features({ profile }: { profile: Profile }) {
  const features = Object.entries(profile.features ?? {});
  const served = useFeatures(profile.detector);
  return (
    <Panel
      title={t("Features now")}
      about={
        <>
          {t("as of")} {profile.as_of ? <Time at={profile.as_of} form="full" /> : UNKNOWN}
        </>
      }
      flush
    >
      {features.length === 0 ? (
        <Empty title={t("No event of it is in state")} />
      ) : (
        <table className="w-full text-left">
          <tbody>
            {features.map(([name, found]) => (
              <tr key={name} className="border-t">
                <th scope="row" className="px-4 py-1.5 font-normal">
                  <Link to="/features" search={{ feature: name }} className="hover:underline">
                    {served.get(name)?.label ?? words(name)}
                  </Link>
                  <code className="block font-mono text-soft text-xs">{name}</code>
                </th>
                <td className="whitespace-nowrap px-4 py-1.5 text-right">{quantity(found, served.get(name)?.unit)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function Labels({ profile }: { profile: Profile }) {
  const { newest } = profile.labels;
  if (newest.length === 0) return null;
  return (
    <Panel title={t("Labels")} about={t("What was said about its transactions, newest first.")} flush>
      <table className="w-full text-left">
        <tbody>
          {newest.map((label) => (
            <tr key={`${label.transaction_id}${label.known_at}`} className="border-t">
              <td className="px-4 py-1.5">
                <Badge tone={label.fraud ? "bad" : "good"}>{labelWord(label.fraud)}</Badge>
              </td>
              <td className="px-4 py-1.5">
                <Link to="/transactions/$id" params={{ id: label.transaction_id }} className="text-accent underline">
                  {label.transaction_id}
                </Link>
              </td>
              <td className="px-4 py-1.5 text-soft">
                {t("{kind} by {source}", { kind: label.kind, source: label.source })}
              </td>
              <td className="px-4 py-1.5 text-right">
                <Time at={label.known_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
