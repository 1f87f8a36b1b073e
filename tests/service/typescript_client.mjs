// Uses the compiled TypeScript client (argument 1) with a service (argument 2), and prints what it found as JSON.
import { pathToFileURL } from "node:url";

const { Client, Conflict, InvalidSignature, Refused, Unavailable, verifyWebhook } = await import(
  pathToFileURL(process.argv[2]).href
);
const url = process.argv[3];
const event = { timestamp: "2026-02-06T10:00:00Z", customer_id: "C1", amount: 20 };
const found = {};

async function error(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return null;
}

let lost = 2;
const bodies = [];
async function losing(...request) {
  bodies.push(request[1].body);
  const response = await fetch(...request);
  if (lost-- > 0) {
    await response.text();
    throw new TypeError("the answer was lost");
  }
  return response;
}

const decision = await new Client(url, { timeoutMs: 60_000, fetch: losing }).decide(event);
found.decided = [decision.decision, decision.features.customer_count_1h, bodies.length, new Set(bodies).size];

const client = new Client(url, { timeoutMs: 60_000 });
await client.decide({ ...event, transaction_id: "a/b?" }, "mine");
const status = await client.status("a/b?");
found.status = [status.status, status.decision, status.review];
found.unknown = await client.status("nobody").catch((error) => [error.status, error.problem.code]);
found.label = (await client.label({ transaction_id: "a/b?", fraud: true })).fraud;

const short = await client.decide({ ...event, transaction_id: "short" }, undefined, { explain: false });
found.short = [short.decision, short.explanation === undefined];
const strict = await error(() => client.decide({ ...event, amout: 1 }, "mine", { strict: true }));
found.strict = [strict.name, strict.status, strict.problem.errors[0].field];

const conflict = await error(() => client.decide({ ...event, transaction_id: "a/b?", amount: 999 }));
found.conflict = conflict instanceof Conflict && conflict.decision.transaction_id;
const refused = await error(() => client.decide({ ...event, amount: "much" }));
found.refused = refused instanceof Refused && [refused.status, refused.problem.code, refused.problem.errors[0].field];

let asked = 0;
const busy = async () => {
  asked++;
  return Response.json({ detail: "the queue is full" }, { status: 503 });
};
const unavailable = await error(() => new Client(url, { timeoutMs: 300, fetch: busy }).decide(event));
found.unavailable =
  unavailable instanceof Unavailable && unavailable.message.includes(`${asked} attempts: 503 the queue is full`) && asked > 1;
const pausing = (seconds) => async () => new Response("", { status: 503, headers: { "Retry-After": seconds } });
const given = (timeoutMs, seconds) =>
  error(() => new Client(url, { timeoutMs, fetch: pausing(seconds) }).decide(event));
found.later = (await given(5_000, "60")).message;
found.soon = (await given(900, "1")).message;

const { timestamp, signature, body, standard, secrets } = JSON.parse(process.argv[4]);
const header = (changed) => (name) =>
  ({ "Penstock-Timestamp": timestamp, "Penstock-Signature": signature, ...changed })[name];
const now = Number(timestamp);
await verifyWebhook("secret", header({}), body, 300, now + 200);
const wrong = [
  ["other", header({}), body, 300, now],
  ["secret", header({}), `${body} `, 300, now],
  ["secret", header({}), body, 300, now + 301],
  ["secret", header({}), body, 300, now - 301],
  ["secret", header({ "Penstock-Timestamp": String(now + 1) }), body, 300, now],
  ["secret", header({ "Penstock-Signature": "sha256=" }), body, 300, now],
  ["secret", () => null, body, 300, now],
];
const signed = (changed) => (name) => ({ ...standard, ...changed })[name];
for (const secret of [...secrets, secrets, ["other", secrets[1]]])
  await verifyWebhook(secret, signed({}), body, 300, now + 200);
wrong.push(
  ["other", signed({}), body, 300, now],
  [[], signed({}), body, 300, now],
  [secrets[0], signed({}), `${body} `, 300, now],
  [secrets[0], signed({}), body, 300, now + 301],
  [secrets[0], signed({ "webhook-id": "evt_2" }), body, 300, now],
  [secrets[0], signed({ "webhook-timestamp": String(now + 1) }), body, 300, now],
  [secrets[0], signed({ "webhook-signature": "v1, v1,!" }), body, 300, now],
  ["secret", (name) => (name === "webhook-signature" ? "" : header({})(name)), body, 300, now],
);
const errors = await Promise.all(wrong.map((each) => error(() => verifyWebhook(...each))));
found.forged = errors.every((each) => each instanceof InvalidSignature);

console.log(JSON.stringify(found));
