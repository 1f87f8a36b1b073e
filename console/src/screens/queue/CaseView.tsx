import type { UseQueryResult } from "@tanstack/react-query";
import { ArrowLeft } from "lucide-react";
import { Asked, Empty } from "~/ui/Asked";
import { Button } from "~/ui/Button";
import { t } from "~/words/language";
import { Attachments } from "./Attachments";
import { CaseHead } from "./CaseHead";
import type { Detail } from "./cases";
import { History } from "./History";
import { Linked } from "./Linked";
import { MainFeatures } from "./MainFeatures";
import { Members } from "./Members";
import { heldByOther } from "./order";
import type { Case, Said } from "./outbox";
import type { Work } from "./useWork";
import { VerdictBar } from "./VerdictBar";
import { Why } from "./Why";

interface Props {
  /** The case, as soon as the list knows it; everything around it comes with `detail`. */
  of: Case | undefined;
  detail: UseQueryResult<Detail>;
  me: string;
  refused?: Said;
  work: Work;
  onBack: () => void;
}

/** The case that is looked at: what was decided and why, what else is known, and what one can say. */
export function CaseView({ of, detail, me, refused, work, onBack }: Props) {
  if (!of) {
    if (detail.isFetching || detail.isError)
      return (
        <Framed onBack={onBack}>
          <Asked of={detail} height={480}>
            {() => null}
          </Asked>
        </Framed>
      );
    return (
      <Framed onBack={onBack}>
        <Empty title={t("No case is chosen")}>{t("J and K go through the list, ? shows every key.")}</Empty>
      </Framed>
    );
  }
  return (
    <Framed onBack={onBack}>
      <article
        aria-label={t("Case of {transaction_id}", { transaction_id: of.transaction_id })}
        className="flex flex-col"
      >
        <div className="top-0 z-10 flex flex-col gap-3 border-b bg-panel p-4 lg:sticky">
          <CaseHead of={of} me={me} refused={refused} />
          <VerdictBar of={of} me={me} work={work} />
        </div>
        <div className="flex flex-col gap-5 p-4">
          <Asked of={detail} height={420}>
            {({ decision, personal, links, history, transactions, attachments }) => (
              <>
                <Members of={of} members={transactions} mayDecide={work.mayDecide && !heldByOther(of, me)} />
                <div className="grid gap-5 xl:grid-cols-2">
                  <Why of={of} decision={decision} personal={personal} />
                  <MainFeatures decision={decision} />
                </div>
                <Linked of={of} links={links} mayDecide={work.mayDecide} />
                <Attachments of={of} files={attachments} me={me} />
                <History lines={history} />
              </>
            )}
          </Asked>
        </div>
      </article>
    </Framed>
  );
}

function Framed({ onBack, children }: { onBack: () => void; children: React.ReactNode }) {
  return (
    <section aria-label={t("The case")} className="relative rounded-lg border bg-panel lg:h-full lg:overflow-y-auto">
      <div className="p-2 lg:hidden">
        <Button look="quiet" onClick={onBack}>
          <ArrowLeft aria-hidden size={16} /> {t("All cases")}
        </Button>
      </div>
      {children}
    </section>
  );
}
