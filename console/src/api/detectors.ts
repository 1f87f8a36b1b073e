/** What is served. */

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { fetchJson } from "./client";

export interface ServedFeature {
  name: string;
  /** What it is called in words. */
  label: string;
  /** What its values count: count, duration (seconds), km, amount, times, share, number. */
  unit: string | null;
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

/** The features of a detector by name: what each is called in words, and its unit. */
export function useFeatures(detector: string | undefined): ReadonlyMap<string, ServedFeature> {
  const served = useDetectors().data?.find((each) => each.name === detector);
  return new Map(served?.features.map((each) => [each.name, each]) ?? []);
}

/** The detector a page is about: the one that is chosen, else the first. */
export function useDetector(): Served | undefined {
  const { data } = useDetectors();
  const { detector } = useSearch({ from: "__root__" });
  return data?.find((each) => each.name === detector) ?? data?.[0];
}
