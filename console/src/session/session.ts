/** Who is here and what they may do. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { SESSION_KEY } from "~/api/queries";

export type Session = Schemas["Session"];
export type Right =
  | "read"
  | "decide"
  | "label"
  | "review"
  | "author"
  | "approve"
  | "administer"
  | "personal"
  | "operate"
  | "audit";

/** Asks who one is. Where `sign_in.needed`, nothing else is answered before somebody signs in. */
export function useSession() {
  return useQuery({ queryKey: SESSION_KEY, staleTime: 60_000, queryFn: async () => say(await api.GET("/session")) });
}

/** In place of a detector: what concerns all of them. */
export const EVERYWHERE = "";

/**
 * Whether who is here may do this; buttons that would only be refused are not shown. Roles may hold for some detectors alone:
 * with a detector it is asked for that one, without one whether it is so for any.
 */
export function useMay(detector?: string): (right: Right) => boolean {
  const { data } = useSession();
  return (right) => data !== undefined && rightsOf(data, detector).includes(right);
}

function rightsOf(session: Session, detector: string | undefined): readonly string[] {
  return detector === undefined ? session.rights : (session.by_detector[detector] ?? session.everywhere);
}

/** Signs in and out; everything that was asked as somebody else is forgotten. */
export function useSigning() {
  const queries = useQueryClient();
  /** First who it is, so that whoever watches that is told; then nothing of before is left, nor comes in late. */
  async function now(session: Session): Promise<void> {
    await queries.cancelQueries();
    queries.setQueryData(SESSION_KEY, session);
    queries.removeQueries({ predicate: (query) => query.queryKey[0] !== SESSION_KEY[0] });
  }
  return {
    async signIn(name: string, password: string): Promise<void> {
      await now(say(await api.POST("/session", { body: { name, password } })));
    },
    /** Changes one's own password; this browser stays signed in, others do not. */
    async changePassword(password: string, next: string): Promise<void> {
      const body = { password, new_password: next };
      queries.setQueryData(SESSION_KEY, say(await api.PUT("/session/password", { body })));
    },
    async signOut(): Promise<void> {
      await now(say(await api.DELETE("/session")));
    },
  };
}
