/** How answers are kept: fresh for some seconds, asked again when somebody looks; a refusal is not asked again. */

import { QueryClient } from "@tanstack/react-query";
import { ApiProblem } from "./client";

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      retry: (failures, error) => !(error instanceof ApiProblem && error.status < 500) && failures < 2,
    },
    mutations: { retry: false },
  },
});
