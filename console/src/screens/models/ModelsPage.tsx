import { useNavigate, useSearch } from "@tanstack/react-router";
import { ApiProblem } from "~/api/client";
import { useDetector } from "~/api/detectors";
import { Asked, Empty, Waiting } from "~/ui/Asked";
import { Choice } from "~/ui/Choice";
import { Page } from "~/ui/Page";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { DriftPanel } from "./DriftPanel";
import { EvaluationPanels } from "./EvaluationPanels";
import { useModels } from "./queries";
import { TrialsPanel } from "./TrialsPanel";
import { VersionsPanel } from "./VersionsPanel";

const TABS = [
  { value: "versions", name: t("Versions") },
  { value: "evaluation", name: t("Evaluation") },
  { value: "trials", name: t("Trials") },
  { value: "drift", name: t("Drift") },
] as const;

type Tab = (typeof TABS)[number]["value"];

/** The models of a detector: which decides, which are tried, what each is worth, and how far the traffic has moved. */
export function ModelsPage() {
  const detector = useDetector();
  const search = useSearch({ from: "/models" });
  const navigate = useNavigate();
  const tab: Tab = TABS.find((each) => each.value === search.tab)?.value ?? "versions";
  if (!detector) return <Waiting height={400} />;
  return (
    <Page
      title={t("Models")}
      about={t("of {name}", { name: detector.name })}
      actions={
        <Choice
          label={t("View")}
          options={TABS}
          value={tab}
          onChange={(next) => void navigate({ to: "/models", search: (kept) => ({ ...kept, tab: next }) })}
        />
      }
    >
      <Tabbed tab={tab} name={detector.name} version={search.version} />
    </Page>
  );
}

function Tabbed({ tab, name, version }: { tab: Tab; name: string; version: string | undefined }) {
  const models = useModels(name);
  if (models.error instanceof ApiProblem && models.error.status === 409) {
    return (
      <Panel>
        <Empty title={t("Rules alone decide here")}>{models.error.detail}</Empty>
      </Panel>
    );
  }
  if (tab === "drift") return <DriftPanel name={name} />;
  return (
    <Asked
      of={models}
      height={400}
      empty={(found) =>
        found.versions.length === 0 && (
          <Empty title={t("No model was trained yet")}>
            <code className="font-mono">{t("penstock train {name} --data FILE --save", { name })}</code>{" "}
            {t("makes the first version.")}
          </Empty>
        )
      }
    >
      {(found) => {
        if (tab === "evaluation") return <EvaluationPanels name={name} models={found} version={version} />;
        if (tab === "trials") return <TrialsPanel name={name} models={found} />;
        return <VersionsPanel name={name} models={found} />;
      }}
    </Asked>
  );
}
