/** What the service knows of rules, lists and requests, and how changes are made. */

import { useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { useWork as useWorkOn } from "~/api/work";

export type Rule = Answered<typeof useRules>["rules"][number];
export type RuleVersion = Rule["newest"];
export type Finding = Rule["warnings"][number];
export type KeptList = Schemas["ListForm"];
export type Entry = Schemas["EntryForm"];
export type Asked = Answered<typeof useRequests>["requests"][number];
export type Action = Exclude<Schemas["NewRule"]["then"], undefined>;

type Answered<T extends (...given: never[]) => { data: unknown }> = NonNullable<ReturnType<T>["data"]>;

export const ACTIONS = ["allow", "challenge", "review", "block"] as const;

/** Every rule, those that were archived as well. */
export function useRules(detector: string | undefined) {
  return useQuery({
    queryKey: ["rules", detector, "all"],
    enabled: detector !== undefined,
    refetchInterval: 30_000,
    queryFn: async ({ signal }) =>
      say(
        await api.GET("/detectors/{name}/rules", {
          params: { path: { name: detector ?? "" }, query: { archived: true } },
          signal,
        }),
      ),
  });
}

/** One rule with all its versions and the requests about it. */
export function useRule(detector: string, rule: string) {
  return useQuery({
    queryKey: ["rules", detector, "one", rule],
    refetchInterval: 30_000,
    queryFn: async ({ signal }) =>
      say(await api.GET("/detectors/{name}/rules/{rule}", { params: { path: { name: detector, rule } }, signal })),
  });
}

/** What one version says otherwise than another, by field. */
export function useDiff(detector: string, rule: string, before: number, after: number) {
  return useQuery({
    queryKey: ["rules", detector, "diff", rule, before, after],
    queryFn: async ({ signal }) =>
      say(
        await api.GET("/detectors/{name}/rules/{rule}/diff", {
          params: { path: { name: detector, rule }, query: { before, after } },
          signal,
        }),
      ),
  });
}

/** The currency of a detector's amounts, where it declares one. */
export function useCurrency(detector: string | undefined): string | null {
  const { data } = useQuery({
    queryKey: ["currency", detector],
    enabled: detector !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () =>
      say(await api.GET("/insights/summary", { params: { query: { range: "5m", detector: detector ?? null } } })),
  });
  return data?.currency ?? null;
}

/** Every list, those that were put away as well. */
export function useLists(detector: string | undefined) {
  return useQuery({
    queryKey: ["lists", detector, "all"],
    enabled: detector !== undefined,
    refetchInterval: 30_000,
    queryFn: async ({ signal }) =>
      say(
        await api.GET("/detectors/{name}/lists", {
          params: { path: { name: detector ?? "" }, query: { archived: true } },
          signal,
        }),
      ),
  });
}

/** What was asked of others. */
export function useRequests(detector: string | undefined) {
  return useQuery({
    queryKey: ["rules", detector, "requests"],
    enabled: detector !== undefined,
    refetchInterval: 10_000,
    queryFn: async ({ signal }) =>
      say(await api.GET("/detectors/{name}/approvals", { params: { path: { name: detector ?? "" } }, signal })),
  });
}

/** Something that changes the books; then everything about rules, lists and what they did is asked again. */
export function useWork(detector: string) {
  return useWorkOn(["rules", detector], ["lists", detector], ["insights", "rules"], ["features", detector]);
}
