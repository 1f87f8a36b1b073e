/** One transaction: what was decided, everything around it, and whether it comes out the same when computed again. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type Schemas, say } from "./client";

export type Decision = Schemas["RecordedDecision"];
export type Context = Schemas["TransactionContext"];
export type Verified = Schemas["Verified"];

const KEY = "transaction";

/** The recorded decision; it never changes. */
export function useDecision(id: string, detector: string | undefined) {
  const params = { path: { transaction_id: id }, query: { detector } };
  return useQuery({
    queryKey: [KEY, id, detector ?? null],
    staleTime: 60_000,
    // Whole, since no fields are named.
    queryFn: async () => say(await api.GET("/transactions/{transaction_id}", { params })) as Decision,
  });
}

/** What is around it: keys, places, neighbours, labels, its case. */
export function useAround(id: string, detector: string | undefined) {
  const params = { path: { transaction_id: id }, query: { detector } };
  return useQuery({
    queryKey: [KEY, id, detector ?? null, "context"],
    queryFn: async () => say(await api.GET("/context/{transaction_id}", { params })),
  });
}

/** Computes it again from the log, and compares to the last bit. */
export function useVerification(id: string, detector: string) {
  const params = { path: { transaction_id: id }, query: { detector } };
  return useMutation({
    mutationFn: async () => say(await api.POST("/verify/{transaction_id}", { params })),
  });
}

/** What a label leaves to the service: it is known from now on, of the kind that its truth has. */
const UNSAID = { kind: null, known_at: null, source: "analyst" };

export interface Said {
  fraud: boolean;
  /** The case of the transaction where one waits for a verdict. */
  caseId: string | null;
  version: number | null;
}

/** Says what is true of it: as the verdict on its case where it has one, else as a label. */
export function useSaying(id: string, detector: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ fraud, caseId, version }: Said) => {
      if (caseId !== null) {
        const verdict = fraud ? ("fraud" as const) : ("good" as const);
        const body = { verdict, version, reason: null, note: null, transactions: [id], seen: null };
        say(await api.POST("/cases/{case_id}/verdict", { params: { path: { case_id: caseId } }, body }));
      } else {
        say(await api.POST("/labels", { body: { ...UNSAID, transaction_id: id, fraud, detector } }));
      }
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: [KEY, id] }),
  });
}
