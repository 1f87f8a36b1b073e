import { type Asking, type Summary, useSummary } from "~/api/insights";
import { Waiting } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { ms } from "~/words/numbers";

/** How long each stage of deciding took, and how long callers waited. */
export function StagesPanel({ asking, className }: { asking: Asking; className?: string }) {
  const { data } = useSummary(asking);
  return (
    <Panel title={t("Latency by stage")} about={t("p50 and p99 of each stage")} className={className}>
      {data ? <Stages of={data.latency_ms} /> : <Waiting height={220} />}
    </Panel>
  );
}

function Stages({ of: { stages, callers } }: { of: Summary["latency_ms"] }) {
  const longest = Math.max(0.001, ...stages.filter((each) => each.stage !== "total").map((each) => each.p99 ?? 0));
  return (
    <table className="w-full min-h-56 text-left">
      <thead className="text-soft text-xs">
        <tr>
          <th scope="col" className="pb-1 font-medium">
            {t("Stage")}
          </th>
          <th scope="col" className="w-1/3 pb-1 font-medium">
            <span className="sr-only">{t("Bar")}</span>
          </th>
          <th scope="col" className="pb-1 text-right font-medium">
            p50
          </th>
          <th scope="col" className="pb-1 text-right font-medium">
            p99
          </th>
        </tr>
      </thead>
      <tbody>
        {stages.map((each) => (
          <tr key={each.stage} className={each.stage === "total" ? "border-t font-medium" : undefined}>
            <th scope="row" className="py-1 font-normal">
              {each.stage}
            </th>
            <td aria-hidden>
              {each.stage !== "total" && (
                <span
                  className="block h-1.5 rounded-full bg-accent"
                  style={{ width: `${Math.max(1, (100 * (each.p99 ?? 0)) / longest)}%` }}
                />
              )}
            </td>
            <td className="pl-3 text-right">{ms(each.p50)}</td>
            <td className="pl-3 text-right">{ms(each.p99)}</td>
          </tr>
        ))}
        <tr className="border-t font-medium">
          <th scope="row" className="py-1 font-normal" title={t("Until the decision was durable; the newest requests")}>
            {t("end to end")}
          </th>
          <td />
          <td className="pl-3 text-right">{ms(callers.p50)}</td>
          <td className="pl-3 text-right">{ms(callers.p99)}</td>
        </tr>
      </tbody>
    </table>
  );
}
