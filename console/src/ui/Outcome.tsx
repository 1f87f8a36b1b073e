import { Check, CircleHelp, type LucideIcon, Octagon, ShieldQuestion } from "lucide-react";
import { words } from "~/words/numbers";
import { cx } from "./styles";

interface Look {
  word: string;
  tint: string;
  icon: LucideIcon;
}

/** How each outcome looks: its word, its colours, and a shape, so that colour is never the only sign. */
export const OUTCOMES: Record<string, Look> = {
  APPROVE: { word: "approve", tint: "text-approve bg-approve-tint", icon: Check },
  CHALLENGE: { word: "challenge", tint: "text-challenge bg-challenge-tint", icon: ShieldQuestion },
  REVIEW: { word: "review", tint: "text-review bg-review-tint", icon: CircleHelp },
  BLOCK: { word: "block", tint: "text-block bg-block-tint", icon: Octagon },
};

/** An outcome or an action ("BLOCK", "block") as a pill. */
export function Outcome({ of, large }: { of: string; large?: boolean }) {
  const look = OUTCOMES[of.toUpperCase()] ?? { word: of.toLowerCase(), tint: "text-soft bg-raised", icon: CircleHelp };
  const Icon = look.icon;
  return (
    <span
      className={cx(
        "inline-flex items-center gap-1 rounded-full font-semibold",
        large ? "px-3 py-1 text-lg" : "px-2 py-0.5 text-xs",
        look.tint,
      )}
    >
      <Icon aria-hidden size={large ? 20 : 12} strokeWidth={2.5} />
      {words(look.word)}
    </span>
  );
}
