import { useEffect, useLayoutEffect, useRef } from "react";

/** Whether a key that was pressed belongs to something that is being written. */
export function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName) || isTextInput(target);
}

function isTextInput(target: HTMLElement): boolean {
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit"].includes(target.type);
}

/** Keys of a page, such as { a: approve, j: next }; silent while somebody writes, holds a modifier, or answers a dialog. */
export function useKeys(keys: Record<string, () => void>): void {
  const newest = useRef(keys);
  // With the page, not a moment after it: a key pressed on what is shown means what is shown.
  useLayoutEffect(() => {
    newest.current = keys;
  });
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isWriting(event.target)) return;
      if (document.querySelector("[role=dialog]")) return;
      const action = newest.current[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (action) {
        event.preventDefault();
        action();
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}
