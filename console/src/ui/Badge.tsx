import type { ReactNode } from "react";
import { cx } from "./styles";

type Tone = "plain" | "good" | "info" | "warn" | "bad";

const TONES: Record<Tone, string> = {
  plain: "bg-raised text-soft",
  good: "bg-approve-tint text-approve",
  info: "bg-challenge-tint text-challenge",
  warn: "bg-review-tint text-review",
  bad: "bg-block-tint text-block",
};

/** A word about the state of something. */
export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span className={cx("inline-flex items-center gap-1 rounded px-1.5 py-0.5 font-medium text-xs", TONES[tone])}>
      {children}
    </span>
  );
}
