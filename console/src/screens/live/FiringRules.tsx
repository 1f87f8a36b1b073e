import { Link } from "@tanstack/react-router";
import { type Asking, type RuleInsights, useRuleInsights } from "~/api/insights";
import { Asked, Empty } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count } from "~/words/numbers";
import { maturity, precision } from "../rules/insight";

type Rule = RuleInsights["rules"][number];

const STATES = { deciding: "active", shared: "rollout", watching: "shadow", retired: "retired" } as const;

/** The rules that fired most and least, and those that never did. */
export function FiringRules({ asking, className }: { asking: Asking; className?: string }) {
  const rules = useRuleInsights(asking);
  return (
    <Panel title={t("Rules")} about={t("How often each fired, and what is known of it")} className={className}>
      <Asked
        of={rules}
        height={300}
        empty={(found) =>
          found.rules.length === 0 && <Empty title={t("No rules")}>{t("This detector decides by score.")}</Empty>
        }
      >
        {(found) => <Fires of={found} />}
      </Asked>
    </Panel>
  );
}

function Fires({ of: found }: { of: RuleInsights }) {
  const most = named(found, found.most);
  const least = named(found, found.least).filter((rule) => !most.includes(rule));
  const largest = Math.max(1, ...most.map((rule) => rule.fires));
  return (
    <div className="flex min-h-48 flex-col gap-3">
      <Fired title={t("Most")} rules={most} largest={largest} nothing={t("None fired in this time.")} />
      {least.length > 0 && <Fired title={t("Least")} rules={least} largest={largest} />}
      {found.never.length > 0 && (
        <section>
          <h3 className="mb-1 text-soft text-xs">{t("Never in this time")}</h3>
          <p className="flex flex-wrap gap-x-3 gap-y-1">
            {found.never.map((rule) => (
              <RuleLink key={`${rule.detector} ${rule.name}`} rule={rule} />
            ))}
          </p>
        </section>
      )}
    </div>
  );
}

function named(found: RuleInsights, names: RuleInsights["most"]): Rule[] {
  return names.flatMap(
    (each) => found.rules.find((rule) => rule.name === each.name && rule.detector === each.detector) ?? [],
  );
}

function Fired({
  title,
  rules,
  largest,
  nothing,
}: {
  title: string;
  rules: Rule[];
  largest: number;
  nothing?: string;
}) {
  return (
    <section>
      <h3 className="mb-1 text-soft text-xs">{title}</h3>
      {rules.length === 0 && <p className="text-soft">{nothing}</p>}
      <ul className="flex flex-col gap-1.5">
        {rules.map((rule) => (
          <li key={`${rule.detector} ${rule.name}`} className="grid grid-cols-[1fr_auto] gap-x-3">
            <span className="flex min-w-0 items-center gap-2">
              <RuleLink rule={rule} />
              {rule.state !== "deciding" && <Badge>{STATES[rule.state]}</Badge>}
            </span>
            <Link
              to="/transactions"
              search={{ detector: rule.detector, rule: rule.name }}
              className="figure text-right font-medium hover:underline"
            >
              {count(rule.fires)}
            </Link>
            <span aria-hidden className="col-span-2 mt-0.5 h-1.5 rounded-full bg-raised">
              <span
                className="block h-full rounded-full bg-accent"
                style={{ width: `${Math.max(1, (100 * rule.fires) / largest)}%` }}
              />
            </span>
            <span className="col-span-2 text-soft text-xs">{precise(rule)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function precise(rule: Rule): string {
  return t("precision {labels}, {labels2}", { labels: precision(rule.labels), labels2: maturity(rule.labels) });
}

function RuleLink({ rule }: { rule: { detector: string; name: string } }) {
  return (
    <Link
      to="/rules/$detectorName/$rule"
      params={{ detectorName: rule.detector, rule: rule.name }}
      className="truncate font-mono text-xs hover:underline"
    >
      {rule.name}
    </Link>
  );
}
