/** A client of the Penstock service: decisions, statuses, labels, and the verification of webhooks. */

import type { components } from "./schema.js";

type Schemas = components["schemas"];

export type Decision = Schemas["Decision"];
export type Label = Schemas["Label"];
export type LabelAnswer = Schemas["LabelAnswer"];
export type Pending = Schemas["Pending"];
export type Problem = Schemas["Problem"];
export type Processed = Schemas["Processed"];

/** The service did not answer, or refused for the moment, until the time of the call was over. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

/** A webhook is not from the service, was changed on the way, or is too old. */
export class InvalidSignature extends Error {
  override name = "InvalidSignature";
}

/** The service refused the request. `problem.code` is for programs, and stable. */
export class Refused extends Error {
  override name = "Refused";

  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
    /** Finds the request in the service's log. */
    readonly requestId: string | null,
  ) {
    super(`${status} ${problem.code ?? ""}: ${problem.detail ?? ""}`);
  }
}

/** The transaction id was decided before, for an event with other content. */
export class Conflict extends Error {
  override name = "Conflict";

  constructor(readonly decision: Decision) {
    super(`'${decision.transaction_id}' was decided before, for an event with other content`);
  }
}

export interface Options {
  /** The API key, where the service asks for one. */
  key?: string;
  /** The time of a call with all its attempts, in milliseconds; 5,000 unless given. */
  timeoutMs?: number;
  /** The field of events with the transaction id; `transaction_id` unless given. */
  idField?: string;
  /** Sends requests, such as for tests or through a proxy; the global `fetch` unless given. */
  fetch?: typeof fetch;
}

export interface DecideOptions {
  /** false: the answer has no explanation, features and scores, and a tenth of the size. */
  explain?: boolean;
  /** true: an event with a field that its type does not declare is refused. */
  strict?: boolean;
}

const AGAIN = new Set([429, 502, 503, 504]);
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** A client of one service. */
export class Client {
  readonly #url: string;
  readonly #options: Options;

  constructor(url: string, options: Options = {}) {
    this.#url = `${url.replace(/\/+$/, "")}/v1`;
    this.#options = options;
  }

  /** Requests the decision about one event; it is on disk when this resolves. The same event sent again has the same decision. */
  async decide(
    event: Record<string, unknown>,
    detector?: string,
    options?: DecideOptions & { explain?: true },
  ): Promise<Decision>;
  async decide(
    event: Record<string, unknown>,
    detector: string | undefined,
    options: DecideOptions,
  ): Promise<Omit<Decision, "explanation" | "features" | "scores">>;
  async decide(event: Record<string, unknown>, detector?: string, options: DecideOptions = {}): Promise<Decision> {
    const query = new URLSearchParams();
    if (options.explain === false) query.set("explain", "false");
    if (options.strict) query.set("strict", "true");
    const where = detector === undefined ? "/predict" : `/detectors/${encodeURIComponent(detector)}/predict`;
    const path = query.size ? `${where}?${query}` : where;
    const id = this.#options.idField ?? "transaction_id";
    const named = event[id] == null ? { ...event, [id]: crypto.randomUUID() } : event;
    const decision: Decision = await this.#call("POST", path, named);
    if (decision.conflict) throw new Conflict(decision);
    return decision;
  }

  /** The status of a transaction and of its review, after at most `waitS` (up to 30) while there is no decision. */
  async status(transactionId: string, waitS = 0, detector?: string): Promise<Pending | Processed> {
    const query = new URLSearchParams({ wait_seconds: String(waitS), ...(detector === undefined ? {} : { detector }) });
    return this.#call(
      "GET",
      `/transaction/${encodeURIComponent(transactionId)}/status?${query}`,
      undefined,
      waitS * 1_000,
    );
  }

  /** Reports the true outcome of a transaction. */
  async label(label: Label): Promise<LabelAnswer> {
    return this.#call("POST", "/labels", label);
  }

  /** Sends until there is an answer, within the time of the call. Every attempt has the same request id. */
  async #call<T>(method: string, path: string, body: unknown, moreMs = 0): Promise<T> {
    const within = (this.#options.timeoutMs ?? 5_000) + moreMs;
    const until = performance.now() + within;
    const send = this.#options.fetch ?? fetch;
    const headers: Record<string, string> = { "Content-Type": "application/json", "X-Request-ID": crypto.randomUUID() };
    if (this.#options.key !== undefined) headers.Authorization = `Bearer ${this.#options.key}`;
    const content = body === undefined ? null : JSON.stringify(body);
    let why = "no attempt was made";
    for (let attempts = 1; ; attempts++) {
      const left = Math.ceil(until - performance.now()); // whole milliseconds: Node takes no others
      if (left <= 0) throw new Unavailable(`no answer within ${within} ms: ${why}`);
      const signal = AbortSignal.timeout(left);
      let asked = 0;
      try {
        const response = await send(this.#url + path, { method, headers, body: content, signal });
        if (response.ok) return (await response.json()) as T;
        const problem = await problemOf(response);
        if (!AGAIN.has(response.status))
          throw new Refused(response.status, problem, response.headers.get("X-Request-ID"));
        why = `${response.status} ${problem.detail ?? ""}`.trim();
        asked = 1_000 * (Number(response.headers.get("Retry-After")) || 0);
      } catch (error) {
        if (error instanceof Refused) throw error;
        why = String(error);
      }
      const own = Math.min(FIRST_PAUSE_MS * 2 ** (attempts - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      const pause = Math.max(own, asked);
      if (performance.now() + pause >= until) {
        const made = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
        throw new Unavailable(
          asked > own
            ? `given up after ${made}: the next is asked for in ${pause} ms, not within ${within} ms: ${why}`
            : `no answer within ${within} ms and ${made}: ${why}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

async function problemOf(response: Response): Promise<Partial<Problem>> {
  const text = await response.text();
  try {
    return JSON.parse(text) as Problem;
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

/**
 * Checks that a webhook was signed with this secret, not long ago; throws `InvalidSignature` otherwise. A receiver drops a
 * `webhook-id` that it had before. Signatures are those of Standard Webhooks; a message without one may have the older
 * `Penstock-Signature` of alerts.
 *
 * @param secret That of the endpoint or channel; several while it is replaced.
 * @param header Returns a header of the request by its name.
 * @param body As received, before any decoding.
 */
export async function verifyWebhook(
  secret: string | readonly string[],
  header: (name: string) => string | null | undefined,
  body: string,
  toleranceS = 300,
  nowS = Date.now() / 1_000,
): Promise<void> {
  const standard = header("webhook-signature");
  const timestamp = header(standard == null ? "Penstock-Timestamp" : "webhook-timestamp") ?? "";
  if (!/^[0-9]{1,15}$/.test(timestamp))
    throw new InvalidSignature("webhook-timestamp is missing, or is no number of seconds");
  const encoder = new TextEncoder();
  const secrets = typeof secret === "string" ? [secret] : secret;
  const checks =
    standard == null
      ? secrets.map((each) =>
          hasSigned(encoder.encode(each), `${timestamp}.${body}`, [fromHex(header("Penstock-Signature") ?? "")]),
        )
      : secrets.map((each) =>
          hasSigned(keyOf(each), `${header("webhook-id") ?? ""}.${timestamp}.${body}`, standard.split(" ").map(fromVersion1)),
        );
  if (!(await Promise.all(checks)).some(Boolean))
    throw new InvalidSignature("webhook-signature is not that of this body and secret");
  const age = nowS - Number(timestamp);
  if (Math.abs(age) > toleranceS)
    throw new InvalidSignature(`it was signed ${Math.round(age)} s ago; at most ${toleranceS} s are accepted`);
}

/** Whether one of these signatures is that of a text. */
async function hasSigned(key: Uint8Array<ArrayBuffer>, text: string, given: Uint8Array<ArrayBuffer>[]): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  const signed = new TextEncoder().encode(text);
  const found = await Promise.all(given.map((each) => crypto.subtle.verify("HMAC", imported, each, signed)));
  return found.some(Boolean);
}

/** The key of a secret: base64 behind `whsec_`, or the text itself. */
function keyOf(secret: string): Uint8Array<ArrayBuffer> {
  return (secret.startsWith("whsec_") ? fromBase64(secret.slice(6)) : undefined) ?? new TextEncoder().encode(secret);
}

function fromVersion1(signature: string): Uint8Array<ArrayBuffer> {
  return (signature.startsWith("v1,") ? fromBase64(signature.slice(3)) : undefined) ?? new Uint8Array();
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function fromHex(signature: string): Uint8Array<ArrayBuffer> {
  const digits = /^sha256=((?:[0-9a-f]{2})+)$/.exec(signature)?.[1] ?? "";
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
