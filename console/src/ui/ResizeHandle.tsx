import type { KeyboardEvent, PointerEvent } from "react";
import { t } from "~/words/language";

const STEP = 16;

interface Props {
  name: string;
  /** The width that somebody chose, in pixels. */
  chosen: number | undefined;
  onWidth: (px: number) => void;
}

/** The right edge of a heading: drag it, or move it by the arrow keys, and its column becomes as wide. */
export function ResizeHandle({ name, chosen, onWidth }: Props) {
  const drag = (event: PointerEvent<HTMLSpanElement>) => {
    const handle = event.currentTarget;
    const begin = { x: event.clientX, wide: widthOf(handle) };
    handle.setPointerCapture(event.pointerId);
    const move = (moved: globalThis.PointerEvent) => onWidth(begin.wide + moved.clientX - begin.x);
    handle.addEventListener("pointermove", move);
    handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", move), {
      once: true,
    });
  };
  const press = (event: KeyboardEvent<HTMLSpanElement>) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    onWidth(widthOf(event.currentTarget) + step);
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a rule that separates nothing that can be moved is another thing
    <span
      role="separator"
      aria-orientation="vertical"
      aria-label={t("Width of {name}", { name })}
      aria-valuenow={chosen ?? 0}
      aria-valuetext={chosen === undefined ? t("as wide as its content") : t("{chosen} pixels", { chosen })}
      tabIndex={0}
      onPointerDown={drag}
      onKeyDown={press}
      className="absolute top-1 right-0 bottom-1 w-2 cursor-col-resize touch-none border-r hover:border-accent focus-visible:border-accent max-sm:hidden"
    />
  );
}

function widthOf(handle: HTMLElement): number {
  return handle.parentElement?.getBoundingClientRect().width ?? 0;
}
