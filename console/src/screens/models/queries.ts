/** What the page of models asks, and what it does. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { told } from "~/ui/Asked";
import { sayDone } from "~/ui/said";
import { t } from "~/words/language";

export type Models = Schemas["ModelList"];
export type Version = Schemas["ModelVersion"];
export type Trial = Schemas["TrialForm"];
export type LiveTrial = Schemas["LiveTrial"];
export type Evaluation = Schemas["ModelEvaluation"];
export type Row = Schemas["ThresholdRow"];

const OFTEN_MS = 2_000;

export function useModels(name: string) {
  return useQuery({
    queryKey: ["models", name],
    refetchInterval: OFTEN_MS,
    queryFn: async () => say(await api.GET("/detectors/{name}/models", { params: { path: { name } } })),
  });
}

/** Versions by when they were trained, the newest first. */
export function newestFirst(versions: readonly Version[]): Version[] {
  return [...versions].sort((one, other) => Date.parse(other.created_at) - Date.parse(one.created_at));
}

export function useTrials(name: string) {
  return useQuery({
    queryKey: ["trials", name],
    refetchInterval: OFTEN_MS,
    queryFn: async () => say(await api.GET("/detectors/{name}/trials", { params: { path: { name } } })).trials,
  });
}

export function useComparison(name: string, version: string) {
  return useQuery({
    queryKey: ["comparison", name, version],
    refetchInterval: 15_000,
    queryFn: async () =>
      say(
        await api.GET("/detectors/{name}/trials/{trial}", {
          params: { path: { name, trial: "model" }, query: { version } },
        }),
      ),
  });
}

export function useEvaluation(name: string, version: string | undefined) {
  return useQuery({
    queryKey: ["evaluation", name, version],
    enabled: version !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () =>
      say(
        await api.GET("/detectors/{name}/models/{version}/evaluation", {
          params: { path: { name, version: version ?? "" } },
        }),
      ),
  });
}

export function useDrift(name: string) {
  return useQuery({
    queryKey: ["drift", name],
    staleTime: 60_000,
    // The generic client forgets that pairs are pairs.
    queryFn: async () =>
      say(
        await api.GET("/detectors/{name}/drift", { params: { path: { name }, query: { detail: false } } }),
      ) as Schemas["DriftReport"],
  });
}

/** One column with its bins and days, of the same measurement as the report. */
export function useDriftOfColumn(name: string, column: string, madeAt: string) {
  return useQuery({
    queryKey: ["drift", name, column, madeAt],
    queryFn: async () =>
      say(
        await api.GET("/detectors/{name}/drift/{column}", { params: { path: { name, column } } }),
      ) as Schemas["ColumnDrift"],
  });
}

/** What can be done with a version. rollback: its trial ends; undo: of the champion, its promotion. */
export type Step =
  | { kind: "shadow"; note: string }
  | { kind: "rollout"; note: string; percent: number; of: string }
  | { kind: "promote"; note: string }
  | { kind: "thresholds"; note: string; review: number; block: number }
  | { kind: "rollback"; note: string }
  | { kind: "undo"; note: string };

const DONE: Record<Step["kind"], string> = {
  shadow: "scores the same events in shadow",
  rollout: t("decides for its share"),
  promote: t("decides from now on"),
  thresholds: t("decides by the new thresholds, as a version of their own"),
  rollback: t("is not tried any more"),
  undo: t("was taken back; the champion before decides again"),
};

/** Does one step and says what came of it; with four eyes it waits for somebody else. */
export function useStep(name: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ version, step }: { version: string; step: Step }) => {
      const { waits } = await take(name, version, step);
      sayDone(
        waits
          ? t("{kind} of {version} waits for the approval of somebody else", { kind: step.kind, version })
          : `${version} ${DONE[step.kind]}`,
      );
    },
    onError: (error) => sayDone(told(error), { bad: true }),
    onSettled: () =>
      Promise.all(["models", "trials", "detectors"].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  });
}

async function take(name: string, version: string, step: Step): Promise<{ waits: boolean }> {
  const path = { name, version };
  switch (step.kind) {
    case "shadow":
      say(
        await api.POST("/detectors/{name}/models/{version}/shadow", {
          params: { path },
          body: { note: step.note, guards: null },
        }),
      );
      return { waits: false };
    case "rollout": {
      const body = { note: step.note, percent: step.percent, of: step.of, guards: null };
      const answer = await api.POST("/detectors/{name}/models/{version}/rollout", { params: { path }, body });
      say(answer);
      return { waits: answer.response.status === 202 };
    }
    case "promote": {
      const answer = await api.POST("/detectors/{name}/models/{version}/promote", {
        params: { path },
        body: { note: step.note },
      });
      say(answer);
      return { waits: answer.response.status === 202 };
    }
    case "thresholds": {
      const body = { review_at: step.review, block_at: step.block, note: step.note };
      const answer = await api.POST("/detectors/{name}/models/{version}/thresholds", { params: { path }, body });
      say(answer);
      return { waits: answer.response.status === 202 };
    }
    case "rollback":
    case "undo": {
      const body = { note: step.note, version: step.kind === "rollback" ? version : null };
      say(await api.POST("/detectors/{name}/models/rollback", { params: { path: { name } }, body }));
      return { waits: false };
    }
  }
}
