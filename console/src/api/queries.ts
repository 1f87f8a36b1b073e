/** How answers are kept: fresh for some seconds, asked again when somebody looks; a refusal is not asked again. */

import { QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiProblem } from "./client";

/** Under which it is kept who one is. */
export const SESSION_KEY = ["session"];

export const queries = new QueryClient({
  // A session may end while somebody works: then it is asked who one is, and the sign-in shows.
  queryCache: new QueryCache({
    onError: (error, query) => {
      if (error instanceof ApiProblem && error.status === 401 && query.queryKey[0] !== SESSION_KEY[0]) {
        void queries.invalidateQueries({ queryKey: SESSION_KEY });
      }
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      retry: (failures, error) => !(error instanceof ApiProblem && error.status < 500) && failures < 2,
    },
    mutations: { retry: false },
  },
});
