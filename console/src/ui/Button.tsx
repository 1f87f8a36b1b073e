import type { ButtonHTMLAttributes } from "react";
import { cx } from "./styles";

type Look = "main" | "plain" | "quiet" | "danger";

const LOOKS: Record<Look, string> = {
  main: "bg-accent text-on-accent border-transparent hover:brightness-110",
  plain: "bg-panel text-ink border-line hover:bg-raised",
  quiet: "border-transparent text-soft hover:bg-raised hover:text-ink",
  danger: "bg-panel text-block border-block hover:bg-block-tint",
};

/** How a button looks: for links that stand among buttons. */
export function buttonLook(look: Look = "plain", className?: string): string {
  return cx(
    "inline-flex min-h-8 cursor-pointer items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-3 py-1 font-medium",
    "disabled:cursor-not-allowed disabled:opacity-60",
    LOOKS[look],
    className,
  );
}

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  /** The key that does the same, shown beside the text. */
  shortcut?: string;
  /** The work goes on: the button waits. */
  busy?: boolean;
}

/** A button; its accessible name is its text. */
export function Button({ look = "plain", shortcut, busy, className, children, disabled, ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || busy}
      aria-busy={busy || undefined}
      aria-keyshortcuts={shortcut}
      className={buttonLook(look, className)}
    >
      {children}
      {shortcut && (
        <kbd aria-hidden className="rounded border border-current px-1 font-mono text-[11px] leading-4 opacity-75">
          {shortcut.toUpperCase()}
        </kbd>
      )}
    </button>
  );
}
