import { Archive, CirclePause, Eye, type LucideIcon, Pencil, Percent, Play } from "lucide-react";
import { cx } from "~/ui/styles";
import { t } from "~/words/language";
import { words } from "~/words/numbers";
import type { RuleVersion } from "./books";

type State = RuleVersion["state"];

const LOOKS: Record<State, { word: string; tint: string; icon: LucideIcon }> = {
  draft: { word: "draft", tint: "bg-raised text-soft", icon: Pencil },
  shadow: { word: "shadow", tint: "bg-challenge-tint text-challenge", icon: Eye },
  rollout: { word: "rollout", tint: "bg-review-tint text-review", icon: Percent },
  active: { word: "active", tint: "bg-approve-tint text-approve", icon: Play },
  paused: { word: "paused", tint: "bg-block-tint text-block", icon: CirclePause },
  archived: { word: "archived", tint: "bg-raised text-soft", icon: Archive },
};

export const STATES = Object.keys(LOOKS) as State[];

/** What a version does: its word, its colour and its shape; of a rollout, the share that it acts on. */
export function StateMark({ of, rollout }: { of: State; rollout?: RuleVersion["rollout"] }) {
  const look = LOOKS[of];
  return (
    <span
      className={cx(
        "inline-flex items-center gap-1 whitespace-nowrap rounded px-1.5 py-0.5 font-medium text-xs",
        look.tint,
      )}
    >
      <look.icon aria-hidden size={12} strokeWidth={2.5} />
      {words(look.word)}
      {of === "rollout" && rollout && t(" {percent} % of {of}", { percent: rollout.percent, of: rollout.of })}
    </span>
  );
}
