/** Which case is looked at: chosen at once, written into the address a moment later. */

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

const WRITTEN_AFTER_MS = 150;

/** The chosen case, and how to choose another. Keys may be quicker than addresses change: the address follows. */
export function useChosen(): [string | undefined, (id: string | undefined) => void] {
  const { case: address } = useSearch({ from: "/queue" });
  const navigate = useNavigate();
  const [ahead, setAhead] = useState<{ id: string | undefined; of: string | undefined }>();
  const latest = useRef(address); // who chooses after an answer has come knows an older address
  latest.current = address;
  const pending = ahead !== undefined && ahead.of === address;

  useEffect(() => {
    if (!pending) return;
    const timer = setTimeout(async () => {
      await navigate({ to: "/queue", search: (kept) => ({ ...kept, case: ahead.id }), replace: true });
      setAhead((now) => (now === ahead ? undefined : now));
    }, WRITTEN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [pending, ahead, navigate]);

  return [pending ? ahead.id : address, (id) => setAhead({ id, of: latest.current })];
}
