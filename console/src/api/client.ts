/** The client, generated from the service's OpenAPI document; a refusal becomes an `ApiProblem`. */

import createClient from "openapi-fetch";
import { t } from "~/words/language";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What a route refused with, as RFC 9457 has it. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly errors: readonly { field: string | null; message: string }[] = [],
  ) {
    super(detail);
    this.name = "ApiProblem";
  }
}

/** The path of the service, from where the console's files came, so that it works behind a proxy at any path. */
export const BASE = new URL(import.meta.env.DEV ? "/" : "..", import.meta.url).pathname.replace(/\/$/, "");

export const api = createClient<paths>({ baseUrl: BASE, fetch: (request: Request) => globalThis.fetch(request) });

/** The data of an answer, or the problem thrown. `say(await api.GET(...))`. */
export function say<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.error === undefined && answer.response.ok) return answer.data as T;
  throw problem(answer.response.status, answer.error);
}

/** A refusal as it was told; also one that is no problem document, as from a proxy. */
export function problem(status: number, body: unknown): ApiProblem {
  const told = body as Partial<Schemas["Problem"]> | null | undefined;
  if (told && typeof told === "object" && typeof told.detail === "string") {
    return new ApiProblem(
      status,
      told.detail,
      (told.errors ?? []).map((each) => ({ field: each.field ?? null, message: each.message })),
    );
  }
  return new ApiProblem(status, t("the service answered with status {status}", { status }));
}

/** A route that the document does not type in full (answers by detector): fetched as JSON. */
export async function fetchJson<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(`${BASE}${path}`, init);
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw problem(response.status, body);
  return body as T;
}
