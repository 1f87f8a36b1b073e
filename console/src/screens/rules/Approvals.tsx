import { getRouteApi } from "@tanstack/react-router";
import { oneOf } from "~/app/search";
import { Asked, Empty } from "~/ui/Asked";
import { Choice } from "~/ui/Choice";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { useRequests } from "./books";
import { RequestTable } from "./RequestTable";

const route = getRouteApi("/rules");
const STAGES = ["pending", "approved", "rejected", "all"] as const;

/** What waits for a second pair of eyes, and what became of what did. */
export function Approvals({ detector }: { detector: string }) {
  const { stage: asked } = route.useSearch();
  const navigate = route.useNavigate();
  const requests = useRequests(detector);
  const stage = oneOf(STAGES, asked) ?? "pending";
  return (
    <Panel
      title={t("Approvals")}
      about={t("Whoever wrote something is not the one who approves it.")}
      flush
      actions={
        <Choice
          label={t("Stage")}
          options={STAGES.map((value) => ({ value, name: value === "pending" ? "waiting" : value }))}
          value={stage}
          onChange={(next) => void navigate({ search: (kept) => ({ ...kept, stage: next }) })}
        />
      }
    >
      <Asked of={requests} height={240}>
        {({ requests: found }) => (
          <RequestTable
            detector={detector}
            requests={found.filter((each) => stage === "all" || each.stage === stage)}
            empty={
              <Empty title={stage === "pending" ? t("Nothing waits") : t("Nothing here")}>
                {t(
                  "What an author asks for where four eyes are wanted, and every change of a protected list, waits here.",
                )}
              </Empty>
            }
          />
        )}
      </Asked>
    </Panel>
  );
}
