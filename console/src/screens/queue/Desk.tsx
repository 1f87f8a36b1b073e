import { useMemo, useState } from "react";
import { useMay, useSession } from "~/session/session";
import { Asked, Empty } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { CaseList } from "./CaseList";
import { CaseView } from "./CaseView";
import { type Chosen, type Order, type State, useCase, useCases, useSaid, type Whose } from "./cases";
import { Filters } from "./Filters";
import { current, leftToDo } from "./order";
import { type Case, dealtWith, refusals, saidBy } from "./outbox";
import { SaidHere } from "./SaidHere";
import { SweepBar } from "./SweepBar";
import { useChosen } from "./useChosen";
import { useWork } from "./useWork";
import { WorkDialogs } from "./WorkDialogs";

interface Props {
  chosen: Chosen;
  onFilter: (to: { state?: State; order?: Order; whose?: Whose }) => void;
}

/** The list, the case that is looked at beside it, and the keys that work on it. */
export function Desk({ chosen, onFilter }: Props) {
  const me = useSession().data?.name ?? "";
  const list = useCases(chosen, me);
  const everybody = useSaid();
  const said = useMemo(() => saidBy(everybody, me), [everybody, me]);
  const [picked, choose] = useChosen();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const all = useMemo(() => list.data?.pages.flatMap((page) => page.cases) ?? [], [list.data]);
  const done = useMemo(() => dealtWith(said), [said]);
  const refused = useMemo(() => refusals(said), [said]);
  const rows = leftToDo(all, done, chosen.state);
  const hidden = chosen.state === "decided" ? NONE : done;
  const id = current(all, picked, hidden, me);
  const detail = useCase(id);
  const here = newer(
    all.find((each) => each.id === id),
    detail.data?.case,
  );
  const mayDecide = useMay(here?.detector)("label");
  const work = useWork({
    all,
    rows,
    done: hidden,
    said,
    here,
    id,
    me,
    mayDecide,
    queue: chosen.queue,
    choose,
    setMarked,
  });

  return (
    <>
      <div className="grid items-stretch gap-4 lg:h-[calc(100dvh-16.5rem)] lg:min-h-[520px] lg:grid-rows-[minmax(0,1fr)] lg:grid-cols-[minmax(300px,25rem)_minmax(0,1fr)]">
        <Panel
          flush
          className={cx(
            "flex flex-col lg:max-h-full [&>div]:min-h-0 [&>div]:flex-1 [&>div]:relative [&>div]:overflow-y-auto",
            picked !== undefined && "max-lg:hidden",
          )}
          title={t("Cases")}
          actions={<Filters chosen={chosen} onFilter={onFilter} />}
        >
          {mayDecide && (
            <SweepBar
              rows={rows}
              marked={marked}
              setMarked={setMarked}
              chosen={chosen}
              me={me}
              onTakeNext={work.next}
            />
          )}
          <Asked
            of={list}
            height={360}
            empty={() =>
              rows.length === 0 &&
              !list.hasNextPage && (
                <Empty title={done.size ? t("All done here") : t("No case here")}>
                  {t("Decisions to review come here by themselves, and a random sample of the others.")}
                </Empty>
              )
            }
          >
            {() => (
              <CaseList
                rows={rows}
                chosen={id}
                me={me}
                refused={refused}
                marked={mayDecide ? marked : undefined}
                onMark={work.mark}
                onChoose={choose}
                more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
              />
            )}
          </Asked>
          <SaidHere said={said} onLook={choose} />
        </Panel>
        <div className={cx("min-w-0 lg:h-full", picked === undefined && "max-lg:hidden")}>
          <CaseView
            key={id}
            of={here}
            detail={detail}
            me={me}
            refused={id === undefined ? undefined : refused.get(id)}
            work={work}
            onBack={() => choose(undefined)}
          />
        </div>
      </div>
      <WorkDialogs work={work} />
    </>
  );
}

const NONE: ReadonlySet<string> = new Set();

/** A case as the list and its own page know it: the newer of the two. */
function newer(row: Case | undefined, own: Case | undefined): Case | undefined {
  return row && (!own || row.version >= own.version) ? row : own;
}
