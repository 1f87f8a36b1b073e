import { Link } from "@tanstack/react-router";
import { Crosshair } from "lucide-react";
import { useLive } from "~/live/useLive";
import { useMay } from "~/session/session";
import { Button } from "~/ui/Button";
import { Panel } from "~/ui/Panel";
import { t } from "~/words/language";
import { count, plural, words } from "~/words/numbers";
import { duration } from "~/words/times";
import { type Attack, isWatched, WATCHED_MS } from "./attack";
import { ExplainedBlock } from "./ExplainedBlock";
import { useAttack } from "./useAttack";

/** The demo's thieves: let them loose, see the first of their payments that is stopped and why, and how soon that was. */
export function AttackPanel({ names }: { names: string[] }) {
  const { attack, begin } = useAttack();
  const may = useMay();
  const first = useLive()?.first_block ?? null;
  const shown = attack ? attack.first?.decision : first;
  return (
    <Panel
      title={t("Simulate an attack")}
      about={t("This is simulated traffic. Start an attack to see how it is detected.")}
      actions={
        may("administer") &&
        names.map((name) => (
          <Button key={name} onClick={() => void begin(name)}>
            <Crosshair aria-hidden size={14} />
            {words(name)}
          </Button>
        ))
      }
    >
      <div className="grid min-h-34 gap-x-6 gap-y-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,2fr)]">
        <div aria-live="polite" className="min-h-20">
          {attack ? <Detection of={attack} /> : <p className="text-soft">{t("No attack running.")}</p>}
        </div>
        <ExplainedBlock
          decision={shown ?? null}
          title={attack ? `First stopped payment of the attack` : t("First blocked payment")}
        />
      </div>
    </Panel>
  );
}

function Detection({ of: attack }: { of: Attack }) {
  return (
    <>
      <p className="text-soft text-xs">{words(attack.name)}</p>
      {attack.first ? (
        <p className="font-semibold text-xl leading-8">
          {t("Detected after")}{" "}
          <span data-detected-ms={Math.round(attack.first.afterMs)} className="figure">
            {(attack.first.afterMs / 1000).toFixed(1)} s
          </span>
        </p>
      ) : (
        <p className="font-semibold text-xl leading-8">
          {isWatched(attack, performance.now())
            ? t("Under way …")
            : t("Not detected within {value}", { value: duration(WATCHED_MS / 1000) })}
        </p>
      )}
      <p className="text-soft text-xs">
        {attack.first
          ? t("From the press of the button until this page saw the first of its payments stopped.")
          : t("None of its {size} payments was stopped yet.", { size: count(attack.payments.size) })}{" "}
        {attack.first && (
          <Link to="/transactions" search={{ decision: "block" }} className="underline underline-offset-2">
            {t("{size} of {size2} stopped so far.", {
              size: count(attack.stopped.size),
              size2: plural(attack.payments.size, "payment"),
            })}
          </Link>
        )}{" "}
        {attack.alert && t("First alert after {value} s.", { value: (attack.alert.afterMs / 1000).toFixed(1) })}
      </p>
    </>
  );
}
