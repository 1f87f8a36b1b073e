import { useNavigate, useSearch } from "@tanstack/react-router";
import type { Range } from "~/api/insights";
import { keepAlerts } from "~/live/alerts";
import { useMessages } from "~/live/useLive";
import { Choice } from "~/ui/Choice";
import { Page } from "~/ui/Page";
import { t } from "~/words/language";
import { AlertsPanel } from "./AlertsPanel";
import { AttackPanel } from "./AttackPanel";
import { Distributions } from "./Distributions";
import { FiringRules } from "./FiringRules";
import { LiveFigures } from "./LiveFigures";
import { NotReady } from "./NotReady";
import { OutcomeChart } from "./OutcomeChart";
import { StagesPanel } from "./StagesPanel";
import { StreamPanel } from "./StreamPanel";
import { useAttackNames } from "./useAttack";

const RANGES: readonly { value: Range; name: string }[] = [
  { value: "5m", name: "5 min" },
  { value: "1h", name: "1 h" },
  { value: "24h", name: "24 h" },
  { value: "30d", name: "30 d" },
];

/** What is being decided now: figures, charts, the stream of decisions, alerts. */
export function LivePage() {
  const { detector, range = "5m" } = useSearch({ from: "__root__" });
  const navigate = useNavigate();
  const attacks = useAttackNames();
  const asking = { range, detector };
  useMessages((message) => keepAlerts(message.alerts));

  return (
    <Page
      title={t("Live")}
      about={detector ? t("Decisions of {detector}", { detector }) : t("Decisions as they are made")}
      actions={
        <Choice
          label={t("Range of time")}
          options={RANGES}
          value={range}
          onChange={(chosen) =>
            void navigate({ to: "/", search: (kept) => ({ ...kept, range: chosen }), replace: true })
          }
        />
      }
    >
      <NotReady />
      <LiveFigures asking={asking} />
      {attacks.length > 0 && <AttackPanel names={attacks} />}
      <div className="grid grid-cols-1 gap-4 xl:grid-cols-3">
        <OutcomeChart asking={asking} className="xl:col-span-2" />
        <AlertsPanel detector={detector} />
      </div>
      <div className="grid grid-cols-1 gap-4 xl:grid-cols-3">
        <StreamPanel detector={detector} className="xl:col-span-2" />
        <div className="grid content-start gap-4 md:max-xl:grid-cols-2">
          <FiringRules asking={asking} />
          <StagesPanel asking={asking} />
        </div>
      </div>
      <Distributions asking={asking} />
    </Page>
  );
}
