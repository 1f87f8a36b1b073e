import { getRouteApi } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { BASE } from "~/api/client";
import { useRuleInsights } from "~/api/insights";
import { oneOf, RANGES } from "~/app/search";
import { Views } from "~/app/Views";
import { useMay } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { buttonLook } from "~/ui/Button";
import { Choice } from "~/ui/Choice";
import { ColumnMenu } from "~/ui/ColumnMenu";
import { Select, TextField } from "~/ui/Field";
import type { Layout } from "~/ui/layout";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { useRules } from "./books";
import { counts, filtered } from "./filters";
import { ImportRules } from "./ImportRules";
import { CHOOSABLE, RuleTable } from "./RuleTable";
import { STATES } from "./State";

const route = getRouteApi("/rules");

/** Every rule of a detector with what it did within the range. */
export function RuleList({ detector }: { detector: string }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const may = useMay(detector);
  const rules = useRules(detector);
  const range = search.range ?? "24h";
  const insights = useRuleInsights({ range, detector });
  const layout = { columns: search.columns, sort: search.sort, widths: search.widths };
  const onLayout = (changed: Layout) => void navigate({ replace: true, search: (kept) => ({ ...kept, ...changed }) });
  const inStates = counts(rules.data?.rules ?? []);
  return (
    <Panel
      title={t("Rules")}
      about={t("What fired within {range}, and what labels say of it by now.", { range })}
      flush
      actions={
        <>
          <Choice
            label={t("Range")}
            options={RANGES.map((value) => ({ value, name: value }))}
            value={range}
            onChange={(next) => void navigate({ search: (kept) => ({ ...kept, range: next }) })}
          />
          <a
            href={`${BASE}/detectors/${encodeURIComponent(detector)}/rules/export`}
            download={`${detector}-rules.ndjson`}
            className={buttonLook()}
          >
            <Download aria-hidden size={15} /> {t("Export")}
          </a>
          {may("author") && <ImportRules detector={detector} />}
          <ColumnMenu columns={CHOOSABLE} layout={layout} onLayout={onLayout} />
          <Views page="/rules" />
        </>
      }
    >
      <div className="flex flex-wrap gap-3 px-4 pb-3">
        <TextField
          label={t("Find")}
          type="search"
          placeholder={t("Name, condition or author")}
          className="w-64 max-w-full"
          value={search.find ?? ""}
          onChange={(event) =>
            void navigate({ replace: true, search: (kept) => ({ ...kept, find: event.target.value || undefined }) })
          }
        />
        <Select
          label={t("State")}
          className="w-52 max-w-full"
          value={oneOf(STATES, search.state) ?? ""}
          onChange={(event) =>
            void navigate({ search: (kept) => ({ ...kept, state: event.target.value || undefined }) })
          }
        >
          <option value="">{t("all but archived")}</option>
          {STATES.map((state) => (
            <option key={state} value={state}>
              {state} ({inStates[state] ?? 0})
            </option>
          ))}
        </Select>
      </div>
      <Asked of={rules} height={320}>
        {(found) => (
          <RuleTable
            detector={detector}
            rules={filtered(found.rules, search)}
            insights={insights.data}
            range={range}
            layout={layout}
            onLayout={onLayout}
            empty={
              found.rules.length === 0 ? (
                <Empty title={t("No rules yet")}>
                  {t("A rule is a condition and what follows from it, such as amount > 900.")}
                </Empty>
              ) : (
                <Empty title={t("No rule fits these filters")} />
              )
            }
          />
        )}
      </Asked>
    </Panel>
  );
}
