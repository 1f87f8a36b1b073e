import { getRouteApi, Link, Navigate } from "@tanstack/react-router";
import { ChevronLeft, PencilLine } from "lucide-react";
import { useMay } from "~/session/session";
import { Asked } from "~/ui/Asked";
import { buttonLook } from "~/ui/Button";
import { Page } from "~/ui/Page";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { type Rule, useRule, useRules } from "./books";
import { Lowering } from "./Lowering";
import { RequestTable } from "./RequestTable";
import { RuleEditor } from "./RuleEditor";
import { RuleFigures } from "./RuleFigures";
import { mayBeVersion, ruleOf } from "./ruleOf";
import { Snoozes } from "./Snoozes";
import { StateMark } from "./State";
import { StepButtons } from "./StepButtons";
import { nextVersion } from "./steps";
import { Versions } from "./Versions";
import { Warnings } from "./Warnings";
import { WhatItSays } from "./WhatItSays";

const route = getRouteApi("/rules/$detectorName/$rule");

/** The page of a rule, found also by the name under which a version that is tried fires. */
export function RulePage() {
  const { detectorName: detector, rule: name } = route.useParams();
  return mayBeVersion(name) ? (
    <Tried detector={detector} name={name} />
  ) : (
    <RuleDetails detector={detector} name={name} />
  );
}

interface Named {
  detector: string;
  name: string;
}

function Tried({ detector, name }: Named) {
  return (
    <Asked of={useRules(detector)} height={600}>
      {({ rules }) => {
        const its = ruleOf(
          name,
          rules.map((rule) => rule.name),
        );
        if (its === name) return <RuleDetails detector={detector} name={name} />;
        return <Navigate to={route.id} params={{ detectorName: detector, rule: its }} replace />;
      }}
    </Asked>
  );
}

/** One rule: what acts, what is tried, its figures and its versions; and the editor for the next one. */
function RuleDetails({ detector, name }: Named) {
  const { edit } = route.useSearch();
  const asked = useRule(detector, name);
  const may = useMay(detector);
  const rule = asked.data?.rule;
  const from = asked.data?.versions.find((each) => each.version === edit);
  return (
    <Page
      title={name}
      about={
        <span className="flex flex-wrap items-center gap-2">
          <Link to="/rules" className="inline-flex items-center text-accent hover:underline">
            <ChevronLeft aria-hidden size={14} /> {t("Rules")}
          </Link>
          {rule && <States rule={rule} />}
        </span>
      }
      actions={
        rule && (
          <>
            {!from && may("author") && (
              <Link
                to="/rules/$detectorName/$rule"
                params={{ detectorName: detector, rule: name }}
                search={(kept) => ({ ...kept, edit: rule.newest.version })}
                className={buttonLook()}
              >
                <PencilLine aria-hidden size={15} /> {t("New version")}
              </Link>
            )}
            <StepButtons detector={detector} rule={rule} />
          </>
        )
      }
    >
      <Asked of={asked} height={600}>
        {(found) =>
          from ? (
            <RuleEditor key={from.version} detector={detector} from={from} />
          ) : (
            <>
              <Warnings findings={found.rule.warnings} />
              <NextLowering detector={detector} rule={found.rule} />
              <RuleFigures detector={detector} rule={found.rule} />
              <div className={cx("grid gap-4", shown(found.rule).length > 1 && "xl:grid-cols-2")}>
                {shown(found.rule).map(({ title, version }) => (
                  <WhatItSays key={version.version} title={title} version={version} />
                ))}
              </div>
              <Snoozes detector={detector} rule={name} />
              <Versions detector={detector} versions={found.versions} next={nextVersion(found.rule)?.version} />
              {found.requests.length > 0 && (
                <Panel title={t("Requests")} about={t("What was asked of others, and what came of it.")} flush>
                  <RequestTable detector={detector} requests={found.requests} />
                </Panel>
              )}
            </>
          )
        }
      </Asked>
    </Page>
  );
}

/** What the version that may become live next would change. */
function NextLowering({ detector, rule }: { detector: string; rule: Rule }) {
  const next = nextVersion(rule);
  return next && <Lowering detector={detector} version={next} />;
}

function States({ rule }: { rule: Rule }) {
  return (
    <>
      <StateMark of={rule.state} rollout={(rule.active ?? rule.candidate)?.rollout ?? null} />
      {rule.active && rule.candidate && <StateMark of={rule.candidate.state} rollout={rule.candidate.rollout} />}
    </>
  );
}

function shown(rule: Rule) {
  const next = nextVersion(rule);
  return [
    ...(rule.active
      ? [{ title: t("Version {version} is live", { version: rule.active.version }), version: rule.active }]
      : []),
    ...(next
      ? [{ title: t("Version {version}, {state}", { version: next.version, state: next.state }), version: next }]
      : []),
  ];
}
