import { useState } from "react";
import { Button } from "~/ui/Button";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { type Chosen, filterOf, type Meant } from "./cases";
import type { Case } from "./outbox";
import { SweepDialog } from "./SweepDialog";

interface Props {
  rows: readonly Case[];
  marked: ReadonlySet<string>;
  setMarked: (marked: ReadonlySet<string>) => void;
  chosen: Chosen;
  me: string;
  onTakeNext: () => void;
}

/** What one can do with several cases at once, and with none in particular. */
export function SweepBar({ rows, marked, setMarked, chosen, me, onTakeNext }: Props) {
  const [meant, mean] = useState<{ title: string; of: Meant }>();
  const { queue, state, detector, whose } = chosen;
  const close = (done: boolean) => {
    mean(undefined);
    if (done) setMarked(new Set());
  };
  return (
    <div className="sticky top-0 z-10 flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
      {marked.size > 0 ? (
        <>
          <Button
            onClick={() =>
              mean({
                title: t("Verdict on {cases}", { cases: plural(marked.size, "marked case") }),
                of: { ids: [...marked] },
              })
            }
          >
            {t("Verdict on {size} marked…", { size: marked.size })}
          </Button>
          <Button look="quiet" onClick={() => setMarked(new Set())}>
            {t("Unmark")}
          </Button>
        </>
      ) : (
        <>
          <Button shortcut="g" onClick={onTakeNext}>
            {t("Get next")}
          </Button>
          {rows.length > 0 && state !== "decided" && (
            <Button
              look="quiet"
              onClick={() =>
                mean({
                  title: t("Verdict on every case of this list"),
                  of: { filter: { queue, state, detector, ...filterOf(whose, me) } },
                })
              }
            >
              {t("Resolve all…")}
            </Button>
          )}
        </>
      )}
      {meant && <SweepDialog title={meant.title} meant={meant.of} onClose={close} />}
    </div>
  );
}
