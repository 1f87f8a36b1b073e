import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { fetchJson } from "~/api/client";
import { summaries } from "~/api/summaries";
import { useMessages } from "~/live/useLive";
import { told } from "~/ui/Asked";
import { sayDone } from "~/ui/said";
import { type Attack, begun, isWatched, seen } from "./attack";

const LOOK_EVERY_MS = 1_000;
const LOOKED_AT = 100;

/** The attacks that can be begun here: none but in the demo. */
export function useAttackNames(): string[] {
  const { data } = useQuery({
    queryKey: ["live setup"],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () => fetchJson<{ attacks: string[] }>("/live/setup"),
  });
  return data?.attacks ?? [];
}

/**
 * The attack that was begun here last, and how to begin one. What becomes of its payments is read from the feed; since that is
 * a sample at high rates, the newest recorded blocks and reviews are looked through as well, as long as it is watched.
 */
export function useAttack(): { attack: Attack | null; begin: (name: string) => Promise<void> } {
  const [attack, setAttack] = useState<Attack | null>(null);

  useMessages((message) => {
    setAttack((now) => now && seen(now, message.decisions, message.alerts, performance.now()));
  });

  const newest = useRef(attack);
  newest.current = attack;
  const pressedMs = attack?.pressedMs;
  useEffect(() => {
    if (pressedMs === undefined) return;
    const timer = setInterval(() => {
      if (!newest.current || !isWatched(newest.current, performance.now())) return clearInterval(timer);
      void newestStopped().then((found) => setAttack((now) => now && seen(now, found, [], performance.now())));
    }, LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [pressedMs]);

  async function begin(name: string): Promise<void> {
    const pressed = performance.now();
    try {
      const answer = await fetchJson<{ transactions: string[] }>(`/demo/attack/${name}`, { method: "POST" });
      setAttack(begun(name, answer.transactions, pressed));
    } catch (error) {
      sayDone(told(error), { bad: true });
    }
  }
  return { attack, begin };
}

async function newestStopped() {
  const asked = (["block", "review"] as const).map((decision) => summaries({ decision, limit: LOOKED_AT }));
  const found = await Promise.allSettled(asked);
  return found.flatMap((each) => (each.status === "fulfilled" ? each.value.transactions : []));
}
