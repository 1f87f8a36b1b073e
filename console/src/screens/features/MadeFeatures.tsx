import { useState } from "react";
import { useMay } from "~/session/session";
import { Asked } from "~/ui/Asked";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { plural } from "~/words/numbers";
import { MadeFeature } from "./MadeFeature";
import { type Made, useMade } from "./made";

/** Features that people made while it decides: what each is doing, and what history could not give it. */
export function MadeFeatures({ detector }: { detector: string }) {
  const made = useMade(detector);
  const may = useMay(detector);
  const [archived, setArchived] = useState(false);
  const all = made.data?.features ?? [];
  if (made.data && all.length === 0) return null;
  const shown = archived ? all : all.filter((each) => each.state !== "archived");
  const hidden = all.length - all.filter((each) => each.state !== "archived").length;
  return (
    <Panel
      title={t("Made by people")}
      about={t("Filled from the log beside the traffic, and read by rules and models only once they are active.")}
      flush
      actions={
        hidden > 0 && (
          <label className="flex items-center gap-2 text-xs">
            <input type="checkbox" checked={archived} onChange={(event) => setArchived(event.target.checked)} />
            {t("with")} {plural(hidden, "archived one")}
          </label>
        )
      }
    >
      <Asked of={made} height={80}>
        {() => (
          <ul className="divide-y border-t">
            {shown.map((feature: Made) => (
              <MadeFeature key={feature.name} detector={detector} feature={feature} may={may} />
            ))}
            {shown.length === 0 && (
              <li className="px-4 py-3 text-soft">{t("None is in use; archived ones are kept.")}</li>
            )}
          </ul>
        )}
      </Asked>
    </Panel>
  );
}
