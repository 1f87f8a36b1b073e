/** What is served. */

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { fetchJson } from "./client";

export interface ServedFeature {
  name: string;
  /** What it is called in words. */
  label: string;
  type: string;
  entity?: string;
  aggregate?: string;
  field?: string | null;
  window?: string;
  definition?: string;
}

/** From which score on what is decided; null: never by score. */
export interface Policy {
  challenge_at: number | null;
  review_at: number | null;
  block_at: number | null;
  on_failure: string;
}

export interface Served {
  name: string;
  version: string;
  model_version: string | null;
  ready: boolean;
  fields: Record<string, string>;
  required: string[];
  informs: string[];
  features: ServedFeature[];
  policy: Policy;
  /** Those in force. */
  rules: { name: string }[];
}

/** Every detector of the service. */
export function useDetectors() {
  return useQuery({
    queryKey: ["detectors"],
    staleTime: 60_000,
    queryFn: async () => (await fetchJson<{ detectors: Served[] }>("/detectors")).detectors,
  });
}

/** What each feature of a detector is called in words, by its name. */
export function useFeatureLabels(detector: string | undefined): ReadonlyMap<string, string> {
  const served = useDetectors().data?.find((each) => each.name === detector);
  return new Map(served?.features.map((each) => [each.name, each.label]) ?? []);
}

/** The detector a page is about: the one that is chosen, else the first. */
export function useDetector(): Served | undefined {
  const { data } = useDetectors();
  const { detector } = useSearch({ from: "__root__" });
  return data?.find((each) => each.name === detector) ?? data?.[0];
}
