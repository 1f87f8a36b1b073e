/** Something that changes what the service keeps. */

import { type QueryKey, useMutation, useQueryClient } from "@tanstack/react-query";
import { told } from "~/ui/Asked";
import { sayDone } from "~/ui/said";

/**
 * The work answers what is to be said of it; a refusal is said in the service's words and stays until it is closed. Then
 * everything under these keys is asked again.
 */
export function useWork(...stale: QueryKey[]) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (work: () => Promise<string>) => work(),
    onSuccess: (text) => sayDone(text),
    onError: (error) => sayDone(told(error), { bad: true }),
    onSettled: () => Promise.all(stale.map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
}
