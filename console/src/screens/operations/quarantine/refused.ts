/** What is asked about refused events, and what is done with them. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api, fetchJson, type Schemas, say } from "~/api/client";
import { queries } from "~/api/queries";

export type Refused = Schemas["RefusedEvent"];

export const STATES = ["waiting", "resubmitted", "dismissed"] as const;
export type State = (typeof STATES)[number];

const EVERY_MS = 5_000;
const PAGE = 50;

/** Refused events, newest first, page after page. */
export function useRefused(state: State | undefined, detector: string | undefined) {
  return useInfiniteQuery({
    queryKey: ["quarantine", { state, detector }],
    refetchInterval: EVERY_MS,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) =>
      say(await api.GET("/quarantine", { params: { query: { state, detector, limit: PAGE, before: pageParam } } })),
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

/** One of them, as it is now. */
export function useOneRefused(id: string) {
  return useQuery({
    queryKey: ["quarantine", id],
    queryFn: async () => say(await api.GET("/quarantine/{event_id}", { params: { path: { event_id: id } } })),
  });
}

/** Send the corrected event the way the refused one came. */
export async function resubmit(id: string, body: string): Promise<Schemas["Resubmitted"]> {
  const sent = await fetchJson<Schemas["Resubmitted"]>(`/quarantine/${encodeURIComponent(id)}/resubmit`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  lookAgain();
  return sent;
}

/** Say that nothing is to be done about it. */
export async function dismiss(id: string, reason: string): Promise<void> {
  say(await api.POST("/quarantine/{event_id}/dismiss", { params: { path: { event_id: id } }, body: { reason } }));
  lookAgain();
}

export type Cause = Schemas["RefusedCause"];

/** Waiting events by cause. */
export function useCauses(detector: string | undefined) {
  return useQuery({
    queryKey: ["quarantine", "causes", { detector }],
    refetchInterval: EVERY_MS,
    queryFn: async () => say(await api.GET("/quarantine/causes", { params: { query: { detector } } })),
  });
}

/** Resubmit or dismiss all waiting events of a cause that the list counted. */
export async function handleAll(
  how: "resubmit" | "dismiss",
  { detector, cause, newest_at }: Cause,
  reason: string,
): Promise<Schemas["CauseHandled"]> {
  const done = say(await api.POST(`/quarantine/${how}`, { body: { detector, cause, until: newest_at, reason } }));
  lookAgain();
  return done;
}

function lookAgain(): void {
  void queries.invalidateQueries({ queryKey: ["quarantine"] });
}
