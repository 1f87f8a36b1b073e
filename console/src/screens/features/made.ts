/** Features that people made at run time. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { useWork } from "~/api/work";
import { t } from "~/words/language";
import type { Body } from "./body";

export type Made = Awaited<ReturnType<typeof askMade>>["features"][number];
export type MadeVersion = Made["versions"][number];
export type FeatureStep = "activate" | "request" | "rollback" | "archive";

const OFTEN_MS = 1_000;
const SELDOM_MS = 15_000;

/** Those of a detector, archived ones as well; asked often while one is being filled. */
export function useMade(detector: string | undefined) {
  return useQuery({
    queryKey: ["features", detector],
    enabled: detector !== undefined,
    refetchInterval: ({ state }) =>
      state.data?.features.some((each) => each.state === "filling") ? OFTEN_MS : SELDOM_MS,
    queryFn: () => askMade(detector ?? ""),
  });
}

async function askMade(name: string) {
  const params = { path: { name }, query: { archived: true } };
  return say(await api.GET("/detectors/{name}/features", { params }));
}

/** What the service says of a feature before it is saved: its type and what it reads, or why it cannot work. */
export function useTested(detector: string, name: string, body: Body, begun: boolean) {
  return useQuery({
    queryKey: ["feature tested", detector, name, body],
    enabled: begun,
    placeholderData: keepPreviousData,
    retry: false,
    gcTime: 10_000,
    queryFn: async ({ signal }) =>
      say(
        await api.POST("/detectors/{name}/features/test", {
          params: { path: { name: detector } },
          body: { name, body },
          signal,
        }),
      ),
  });
}

/** Something that changes features; then they and what the detector is made of are asked again. */
export function useFeatureWork(detector: string) {
  return useWork(["features", detector], ["definition", detector], ["detectors"], ["rules", detector]);
}

/** Saves a version as a draft; what is to be said of it. */
export async function save(detector: string, given: Schemas["NewFeature"]): Promise<string> {
  const made = say(await api.POST("/detectors/{name}/features", { params: { path: { name: detector } }, body: given }));
  return t("{name}: version {version} is a draft; it is computed nowhere yet.", {
    name: made.name,
    version: made.versions[0]?.version,
  });
}

/** Takes a step; what is to be said of it. */
export async function take(
  detector: string,
  feature: string,
  step: FeatureStep,
  version: number | null,
  note: string,
): Promise<string> {
  const params = { path: { name: detector, feature } };
  if (step === "rollback") {
    const { state } = say(await api.POST("/detectors/{name}/features/{feature}/rollback", { params, body: { note } }));
    return t("{feature}: rolled back; it is {state} now.", { feature, state });
  }
  if (step === "archive") {
    say(await api.POST("/detectors/{name}/features/{feature}/archive", { params, body: { note } }));
    return t("{feature}: archived; it is computed no more.", { feature });
  }
  if (step === "request") {
    say(await api.POST("/detectors/{name}/features/{feature}/request", { params, body: { version, note } }));
    return t("{feature}: waits for another person to approve it. Nothing has changed yet.", { feature });
  }
  const { response, ...answer } = await api.POST("/detectors/{name}/features/{feature}/activate", {
    params,
    body: { version, note },
  });
  say({ ...answer, response });
  return response.status === 202
    ? t("{feature}: waits for another person to approve it. Nothing has changed yet.", { feature })
    : t("{feature}: is being filled from the log.", { feature });
}
