/** What is asked about webhooks, and what is changed. */

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api, type Schemas, say } from "~/api/client";
import { queries } from "~/api/queries";
import { t } from "~/words/language";

export type Webhook = Schemas["WebhookForm"];
export type Attempt = Schemas["WebhookAttempt"];

const EVERY_MS = 5_000;
const PAGE = 50;

/** What one may choose to be sent. */
export const KINDS: readonly { name: string; types: readonly string[] }[] = [
  { name: t("Decisions"), types: ["penstock.decision.made"] },
  { name: t("Cases and verdicts"), types: ["penstock.case.*"] },
  { name: t("Labels"), types: ["penstock.label.received"] },
  {
    name: t("Changes of rules, lists, features and models"),
    types: ["penstock.rule.changed", "penstock.list.changed", "penstock.feature.changed", "penstock.model.changed"],
  },
];

export function useWebhooks() {
  return useQuery({
    queryKey: ["webhooks"],
    refetchInterval: EVERY_MS,
    queryFn: async () => say(await api.GET("/webhooks")).webhooks,
  });
}

/** The attempts to deliver to an endpoint, page after page. */
export function useAttempts(id: string) {
  return useInfiniteQuery({
    queryKey: ["webhooks", id, "deliveries"],
    refetchInterval: EVERY_MS,
    initialPageParam: undefined as number | undefined,
    queryFn: async ({ pageParam }) =>
      say(
        await api.GET("/webhooks/{id}/deliveries", {
          params: { path: { id }, query: { limit: PAGE, before: pageParam } },
        }),
      ),
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

export async function addWebhook(body: Schemas["NewWebhook"]): Promise<Schemas["MadeWebhook"]> {
  return changed(say(await api.POST("/webhooks", { body })));
}

export async function changeWebhook(
  id: string,
  to: Partial<Schemas["ChangeWebhook"]>,
): Promise<Schemas["MadeWebhook"]> {
  const none = { url: null, description: null, types: null, detectors: null, decisions: null, enabled: null };
  const body = { ...none, retention_days: null, timeout_s: null, rotate_secret: false, ...to };
  return changed(say(await api.PATCH("/webhooks/{id}", { params: { path: { id } }, body })));
}

export async function removeWebhook(id: string): Promise<void> {
  changed(say(await api.DELETE("/webhooks/{id}", { params: { path: { id } } })));
}

/** Send a test event now. */
export async function testWebhook(id: string): Promise<Attempt> {
  return changed(say(await api.POST("/webhooks/{id}/test", { params: { path: { id } } })));
}

/** Deliver again from an event on. */
export async function replayFrom(id: string, event: string): Promise<number> {
  const body = { event, since: null };
  return changed(say(await api.POST("/webhooks/{id}/replay", { params: { path: { id } }, body }))).events;
}

function changed<T>(answer: T): T {
  void queries.invalidateQueries({ queryKey: ["webhooks"] });
  return answer;
}

/** What came back, or why nothing did. */
export function answerInWords({ status, took_ms, detail }: Attempt): string {
  return status === null ? detail : t("answered {status} in {took_ms} ms", { status, took_ms });
}

/** What an endpoint is sent. */
export function selectionInWords({ types, decisions, detectors }: Webhook): string {
  const kinds = KINDS.filter((kind) => kind.types.every((type) => types.includes(type)));
  const named = new Set(kinds.flatMap((kind) => kind.types));
  const what = [...kinds.map((kind) => kind.name.toLowerCase()), ...types.filter((type) => !named.has(type))];
  const decided = decisions.length === 0 ? "" : t("; decisions {value}", { value: decisions.join(", ").toLowerCase() });
  return `${what.length === 0 ? t("everything") : what.join(", ")}${decided}${detectors.length === 0 ? "" : t(" of {value}", { value: detectors.join(", ") })}`;
}
