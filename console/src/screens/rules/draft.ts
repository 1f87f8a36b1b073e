/** A version while it is written, and what the service says of it as one types. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ApiProblem, api, type Schemas, say } from "~/api/client";
import { told } from "~/ui/Asked";
import { t } from "~/words/language";
import type { Action, RuleVersion } from "./books";
import { type Place, placeOf } from "./problem";

export interface Draft {
  name: string;
  when: string;
  then: Action;
  reason: string;
  code: string;
  hard: boolean;
  override: boolean;
  note: string;
}

export type Tested = Schemas["RuleTested"];
export type Tried = Schemas["BacktestResult"];

export const EMPTY: Draft = {
  name: "",
  when: "",
  then: "review",
  reason: "",
  code: "",
  hard: false,
  override: false,
  note: "",
};

/** A draft that says what a version says. */
export function draftOf(version: RuleVersion | null): Draft {
  if (!version) return EMPTY;
  const { rule: name, when, reason, hard, override } = version;
  const [then, code] = [version.then as Action, version.code === name ? "" : version.code];
  return { ...EMPTY, name, when, then, reason: reason ?? "", code, hard, override };
}

/** What would be sent of it. */
export function bodyOf(draft: Draft): Schemas["NewRule"] {
  return { ...draft, name: draft.name.trim(), when: draft.when.trim(), reason: draft.reason.trim() || null };
}

/** What is wrong with a rule's name; null where nothing is. */
export function nameProblem(name: string, taken: readonly string[]): string | null {
  if (!/^[A-Za-z_]\w*$/.test(name)) return t("Letters, digits and _, such as large_at_night");
  return taken.includes(name) ? t("There is such a rule already: open it to write a new version") : null;
}

/** What the service says of the draft: its findings, or what is wrong and where. Asked again whenever it changes. */
export function useTested(detector: string, draft: Draft) {
  const { when, then, reason, hard, override, name } = draft;
  const known = nameProblem(name, []) === null ? name : null;
  const asked = { when, then, reason: reason.trim() || null, hard, override, name: known };
  return useQuery({
    queryKey: ["tested", detector, asked],
    enabled: when.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: 10_000,
    gcTime: 10_000,
    retry: false,
    queryFn: async ({ signal }) =>
      say(
        await api.POST("/detectors/{name}/rules/test", {
          params: { path: { name: detector } },
          body: { ...asked, event: null, transaction_id: null },
          signal,
        }),
      ),
  });
}

/** What is wrong with the condition, and where; null where it can be read. */
export function problemOf(error: unknown, when: string): Place | null {
  if (error === null || error === undefined) return null;
  if (error instanceof ApiProblem) return placeOf(error.detail, when);
  return { from: 0, to: 0, message: told(error) };
}

const BUSY = 429;

/**
 * What a rule that says so would have done over the newest days. Only a condition that can be read is tried; a question that
 * nobody waits for any more is taken back, and one that meets another is asked again.
 */
export function useTried(detector: string, draft: Draft, days: number, readable: boolean, version: boolean) {
  const { when, then, hard, override } = draft;
  const body = { when, then, hard, override, days, rule: version ? draft.name : null };
  return useQuery({
    queryKey: ["tried", detector, body],
    enabled: readable,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    gcTime: 30_000,
    retry: (failures, error) => error instanceof ApiProblem && error.status === BUSY && failures < 100,
    retryDelay: 250,
    queryFn: async ({ signal }) =>
      say(await api.POST("/detectors/{name}/backtest", { params: { path: { name: detector } }, body, signal })),
  });
}
