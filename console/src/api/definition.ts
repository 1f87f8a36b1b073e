/** What a detector is made of. */

import { useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "./client";

export type Definition = Schemas["DetectorDefinition"];
export type FieldDefinition = Schemas["FieldDefinition"];
export type FeatureDefinition = Schemas["FeatureDefinition"];

/** The definition of a detector. `everyMs`: where its freshness is shown. */
export function useDefinition(detector: string | undefined, everyMs: number | false = false) {
  return useQuery({
    queryKey: ["definition", detector],
    enabled: detector !== undefined,
    staleTime: 30_000,
    refetchInterval: everyMs,
    queryFn: async ({ signal }) =>
      say(await api.GET("/detectors/{name}/definition", { params: { path: { name: detector ?? "" } }, signal })),
  });
}
