/** Figures of the live page: what was decided within a range, and how it is spread. Asked again and again while somebody looks. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "./client";

export type Summary = Schemas["InsightSummary"];
export type Distributions = Schemas["InsightDistributions"];
export type Series = Schemas["InsightSeries"];
export type RuleInsights = Schemas["InsightRules"];
export type Outcomes = Schemas["Outcomes"];
export type Range = "5m" | "1h" | "24h" | "30d";

export interface Asking {
  range: Range;
  detector: string | undefined;
}

const OFTEN_MS = 2_000;
const SELDOM_MS = 5_000;

/** How one of these is asked for: kept on the page while a new answer comes, so that nothing jumps. */
function looking<T>(name: string, asking: Asking, everyMs: number, ask: () => Promise<T>) {
  return {
    queryKey: ["insights", name, asking.range, asking.detector ?? null],
    queryFn: ask,
    refetchInterval: everyMs,
    placeholderData: keepPreviousData<T>,
  };
}

export function useSummary(asking: Asking) {
  const params = { query: asking };
  return useQuery(
    looking("summary", asking, OFTEN_MS, async () => say(await api.GET("/insights/summary", { params }))),
  );
}

export function useSeries(asking: Asking) {
  const params = { query: asking };
  return useQuery(looking("series", asking, OFTEN_MS, async () => say(await api.GET("/insights/series", { params }))));
}

export function useDistributions(asking: Asking) {
  const params = { query: asking };
  return useQuery(
    looking("distributions", asking, SELDOM_MS, async () => say(await api.GET("/insights/distributions", { params }))),
  );
}

export function useRuleInsights(asking: Asking) {
  const params = { query: asking };
  return useQuery(looking("rules", asking, SELDOM_MS, async () => say(await api.GET("/insights/rules", { params }))));
}
