/** Short news of what was done, in a corner, for a while; read aloud as well. */

import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { t } from "~/words/language";
import { cx } from "./styles";

interface Said {
  id: number;
  text: string;
  bad: boolean;
}

let shown: readonly Said[] = [];
let next = 1;
const listeners = new Set<() => void>();

function show(list: readonly Said[]): void {
  shown = list;
  for (const listener of listeners) listener();
}

/** Say that something was done; what failed stays until it is closed. */
export function sayDone(text: string, { bad = false }: { bad?: boolean } = {}): void {
  const id = next++;
  show([...shown.slice(-3), { id, text, bad }]);
  if (!bad) setTimeout(() => hide(id), 6_000);
}

function hide(id: number): void {
  show(shown.filter((each) => each.id !== id));
}

/** The corner where it is shown. */
export function SaidCorner() {
  const list = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
  );
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-4 z-50 flex w-[min(420px,92vw)] flex-col gap-2"
    >
      {list.map((each) => (
        <p
          key={each.id}
          className={cx(
            "pointer-events-auto flex items-start gap-2 rounded-md border bg-panel px-3 py-2 shadow-lg",
            each.bad && "border-block text-block",
          )}
        >
          <span className="min-w-0 flex-1 break-words">{each.text}</span>
          <button
            type="button"
            aria-label={t("Close")}
            className="cursor-pointer text-soft hover:text-ink"
            onClick={() => hide(each.id)}
          >
            <X aria-hidden size={16} />
          </button>
        </p>
      ))}
    </div>
  );
}
