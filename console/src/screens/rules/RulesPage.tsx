import { getRouteApi, Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useDetector } from "~/api/detectors";
import { oneOf } from "~/app/search";
import { useMay } from "~/session/session";
import { Waiting } from "~/ui/Asked";
import { buttonLook } from "~/ui/Button";
import { Page } from "~/ui/Page";
import { Tabs } from "~/ui/Tabs";
import { t } from "~/words/language";
import { Approvals } from "./Approvals";
import { useRequests } from "./books";
import { Lists } from "./Lists";
import { RuleList } from "./RuleList";

const route = getRouteApi("/rules");
const TABS = ["rules", "lists", "approvals"] as const;

/** Rules as data: what each does, the lists that they ask, and what waits for a second pair of eyes. */
export function RulesPage() {
  const detector = useDetector();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const requests = useRequests(detector?.name);
  const may = useMay(detector?.name);
  const waiting = requests.data?.requests.filter((each) => each.stage === "pending").length ?? 0;
  if (!detector) return <Waiting height={500} />;
  const { name } = detector;
  return (
    <Page
      title={t("Rules")}
      about={t("Rules for {name}", { name })}
      actions={
        may("author") && (
          <Link to="/rules/new" className={buttonLook("main")}>
            <Plus aria-hidden size={16} /> {t("New rule")}
          </Link>
        )
      }
    >
      <Tabs
        label={t("Rules, lists, approvals")}
        value={oneOf(TABS, search.tab) ?? "rules"}
        onChange={(tab) => void navigate({ search: (kept) => ({ detector: kept.detector, range: kept.range, tab }) })}
        tabs={[
          { value: "rules", name: t("Rules"), content: () => <RuleList detector={name} /> },
          { value: "lists", name: t("Lists"), content: () => <Lists detector={name} /> },
          {
            value: "approvals",
            name: waiting ? t("Approvals ({waiting})", { waiting }) : t("Approvals"),
            content: () => <Approvals detector={name} />,
          },
        ]}
      />
    </Page>
  );
}
