import { Link } from "@tanstack/react-router";
import type { Schemas } from "~/api/client";
import { Empty, Failed } from "~/ui/Asked";
import { Badge } from "~/ui/Badge";
import { Outcome } from "~/ui/Outcome";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { ms, percent, value, words } from "~/words/numbers";

const MOST_FEATURES = 12;

interface Props {
  decision: Schemas["Decision"] | undefined;
  error: unknown;
  dry: boolean;
}

/** What was decided, and why; or why nothing could be. */
export function Answer({ decision, error, dry }: Props) {
  return (
    <Panel title={t("Decision")} className="xl:sticky xl:top-4">
      <div aria-live="polite">
        {error ? (
          <Failed error={error} />
        ) : decision ? (
          <Decided decision={decision} dry={dry} />
        ) : (
          <Empty title={t("Nothing was sent yet")} />
        )}
      </div>
    </Panel>
  );
}

function Decided({ decision, dry }: { decision: Schemas["Decision"]; dry: boolean }) {
  const { reasons, rules, contributions, decision_reason } = decision.explanation;
  return (
    <div className="flex flex-col gap-4">
      <p className="flex flex-wrap items-center gap-3">
        <Outcome of={decision.decision} large />
        <span className="font-semibold text-lg">
          {t("{fraud_probability} fraud", { fraud_probability: percent(decision.fraud_probability) })}
        </span>
        {decision.degraded && <Badge tone="warn">{t("degraded")}</Badge>}
        {dry ? (
          <Badge>{t("dry run: nothing was recorded")}</Badge>
        ) : (
          <Link to="/transactions/$id" params={{ id: decision.transaction_id }} className="text-accent underline">
            {t("open {transaction_id}", { transaction_id: decision.transaction_id })}
          </Link>
        )}
      </p>
      <ul className="list-disc pl-5">
        {reasons.map((reason) => (
          <li key={`${reason.code} ${reason.text}`}>{reason.text}</li>
        ))}
        {reasons.length === 0 && <li>{words(decision_reason)}</li>}
      </ul>
      {rules.length > 0 && (
        <p className="flex flex-wrap items-center gap-2">
          {t("Rules:")}
          {rules.map((rule) => (
            <span key={rule.name} className="inline-flex items-center gap-1">
              {words(rule.name)} <Outcome of={rule.action} />
            </span>
          ))}
        </p>
      )}
      <Numbers title={t("Scores")} of={Object.entries(decision.scores)} shown={percent} />
      {contributions.length > 0 && (
        <Numbers
          title={t("What moved the score most, in log-odds")}
          of={contributions.slice(0, MOST_FEATURES).map((each) => [each.feature, each.contribution])}
          shown={signed}
        />
      )}
      <details>
        <summary className="cursor-pointer text-soft">
          {t("Features and raw answer ({total} of work)", { total: ms(decision.latency_ms.total) })}
        </summary>
        <dl className="mt-2 grid grid-cols-[auto_1fr] gap-x-4 gap-y-0.5">
          {Object.entries(decision.features).map(([name, found]) => (
            <div key={name} className="contents">
              <dt className="text-soft">{words(name)}</dt>
              <dd>{value(found)}</dd>
            </div>
          ))}
        </dl>
        <pre className="mt-2 max-h-96 overflow-auto rounded-md border bg-ground p-3 font-mono text-xs">
          {JSON.stringify(decision, null, 2)}
        </pre>
      </details>
    </div>
  );
}

function signed(n: number | null): string {
  return n === null ? "–" : `${n >= 0 ? "+" : "−"}${Math.abs(n).toFixed(2)}`;
}

interface NumbersProps {
  title: string;
  of: [string, number | null][];
  shown: (n: number | null) => string;
}

function Numbers({ title, of, shown }: NumbersProps) {
  return (
    <div>
      <h3 className="font-medium text-xs">{title}</h3>
      <dl className="grid grid-cols-[1fr_auto] gap-x-4">
        {of.map(([name, n]) => (
          <div key={name} className="contents">
            <dt className="text-soft">{words(name)}</dt>
            <dd className="text-right">{shown(n)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
