import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { summaries } from "~/api/summaries";
import { COLUMNS } from "~/screens/transactions/columns";
import { Asked, Empty } from "~/ui/Asked";
import { Table } from "~/ui/Table";
import { t } from "~/words/language";

const SHOWN = 20;

/** The newest decisions about a key, each of which can be opened. */
export function RecentTable({ entity, keyed, detector }: { entity: string; keyed: string; detector: string }) {
  const navigate = useNavigate();
  const asked = { entity, key: keyed, detector, limit: SHOWN };
  const newest = useQuery({ queryKey: ["summaries", asked], queryFn: () => summaries(asked) });
  return (
    <Asked of={newest} height={400}>
      {(page) => (
        <Table
          label={t("Latest transactions")}
          exported
          rows={page.transactions}
          columns={COLUMNS}
          id={(row) => row.transaction_id}
          onOpen={(row) => void navigate({ to: "/transactions/$id", params: { id: row.transaction_id } })}
          empty={<Empty title={t("No decision about it is recorded")} />}
        />
      )}
    </Asked>
  );
}
