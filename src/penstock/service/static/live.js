"use strict";
// The live page: reads /live (server-sent events) and shows it. Text from the service is only ever set as text.

const ROWS = 15, TICKS = 120, TICK_MS = 500, RATE_OVER_MS = 5000;
const $ = (id) => document.getElementById(id);
const state = { paused: false, pinned: null, first: null, shown: [], history: [], ticks: [], several: false };

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const count = (n) => (n < 1e6 ? whole.format(n) : compact.format(n));
const percent = (share) => {
  if (share === null || share === undefined) return "\u2013";
  return share > 0 && share < 0.0001 ? "<0.01 %" : (100 * share).toFixed(share < 0.1 ? 2 : 1) + " %";
};
const value = (v) => (v === null || v === undefined ? "\u2013" : typeof v === "number" ? short.format(v) : String(v));
const words = (name) => name.replaceAll("_", " ");

// ---------------------------------------------------------------- numbers

function total(outcomes, name) {
  return Object.values(outcomes).reduce((sum, one) => sum + (one[name] ?? 0), 0);
}

function showCounts(message) {
  const stats = message.stats;
  for (const name of ["approve", "review", "block"]) {
    const n = stats[name] + (name === "review" ? stats.challenge ?? 0 : 0);
    $(name).textContent = count(n);
    $(name + "-share").textContent = stats.total ? percent(n / stats.total) : "\u00a0";
  }
  const latency = message.latency_ms;
  for (const p of ["p50", "p99"]) $(p).textContent = latency[p] === null ? "\u2013" : latency[p].toFixed(2);
}

// Clock or counts that go back are those of another server: nothing is to be compared with what came before.
function isOther(now, tally) {
  const newest = state.history.at(-1);
  return newest !== undefined && (now < newest[0] || tally.some((n, k) => n < newest[1][k]));
}

// By the service's clock: messages may arrive late and several at once.
function showRate(message) {
  const now = message.measured_ms;
  const tally = ["APPROVE", "REVIEW", "BLOCK"].map((name) => total(message.outcomes, name));
  tally[1] += total(message.outcomes, "CHALLENGE");
  if (isOther(now, tally)) state.history = [];
  state.history.push([now, tally]);
  while (state.history.length > 2 && now - state.history[0][0] > RATE_OVER_MS) state.history.shift();
  const [then, before] = state.history[0];
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  if (now > then) {
    const rate = (1000 * (sum(tally) - sum(before))) / (now - then);
    $("rate").textContent = rate < 100 ? rate.toFixed(1) : whole.format(Math.round(rate));
  }
  if (state.last) state.ticks.push(tally.map((n, k) => Math.max(0, n - state.last[k])));
  state.last = tally;
  if (state.ticks.length > TICKS) state.ticks.shift();
  drawPulse();
}

function drawPulse() {
  const highest = Math.max(4, ...state.ticks.map((tick) => tick.reduce((a, b) => a + b, 0)));
  const bars = [];
  state.ticks.forEach((tick, at) => {
    let top = 30;
    ["approve", "review", "block"].forEach((name, k) => {
      if (!tick[k]) return;
      const height = Math.max((29 * tick[k]) / highest, k ? 0.9 : 0);
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      top -= height;
      const at_x = TICKS - state.ticks.length + at;
      for (const [key, v] of [["class", name], ["x", at_x + 0.12], ["y", top], ["width", 0.76], ["height", height]]) bar.setAttribute(key, v);
      bars.push(bar);
    });
  });
  $("pulse").replaceChildren(...bars);
}

// ---------------------------------------------------------------- the stream

function because(decision) {
  const found = decision.explanation ?? {};
  return found.reasons?.[0]?.text ?? words(found.decision_reason ?? "");
}

function row(decision) {
  const tr = make("tr");
  if (!decision) {
    tr.className = "empty";
    for (let k = 0; k < 5; k++) tr.append(make("td", "", "\u00a0"));
    return tr;
  }
  tr.tabIndex = 0;
  tr.setAttribute("aria-selected", String(state.pinned?.transaction_id === decision.transaction_id));
  tr.append(make("td", "when", new Date(decision.decided_at).toLocaleTimeString("en-GB")));
  const id = make("td", "id", decision.transaction_id);
  id.title = state.several ? `${decision.detector}: ${decision.transaction_id}` : decision.transaction_id;
  tr.append(id);
  const score = make("td", "", percent(decision.fraud_probability));
  if (decision.fraud_probability !== null && decision.fraud_probability !== undefined) {
    const meter = make("span", "meter"), fill = make("i");
    fill.style.width = 100 * decision.fraud_probability + "%";
    meter.append(fill);
    score.append(meter);
  }
  tr.append(score);
  const said = make("td");
  said.append(make("span", "pill " + decision.decision, decision.decision.toLowerCase()));
  tr.append(said);
  const why = make("td", "why", because(decision));
  why.title = because(decision);
  tr.append(why);
  const pin = () => { state.pinned = decision; explain(); showRows(); };
  tr.addEventListener("click", pin);
  tr.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin(); } });
  return tr;
}

function showRows() {
  const rows = [];
  for (let k = 0; k < ROWS; k++) rows.push(row(state.shown[k]));
  $("rows").replaceChildren(...rows);
}

function showStream(message, passed) {
  if (state.paused) return;
  const fresh = message.decisions;
  $("sampled").textContent = passed > 1.5 * fresh.length ? `a sample: ${fresh.length} of the last ${count(passed)}` : "\u00a0";
  if (!fresh.length) return;
  state.shown = [...fresh.reverse(), ...state.shown].slice(0, ROWS);
  if (!$("rows").contains(document.activeElement) && !$("rows").matches(":hover")) showRows();
}

// ---------------------------------------------------------------- one decision, explained

function explain() {
  const decision = state.pinned ?? state.first;
  $("unpin").hidden = !state.pinned;
  $("explained-title").textContent = state.pinned ? "One decision, explained" : "The first block, explained";
  if (!decision) return;
  const found = decision.explanation ?? {};
  const parts = [what(decision), reasons(found)];
  if (found.contributions?.length) parts.push(make("h3", "", "What moved the models, in log-odds"), bars(found.contributions));
  if (found.rules?.length) parts.push(make("h3", "", "Rules that fired"), facts(found.rules.map((rule) => `${words(rule.name)} \u2192 ${rule.action}`)));
  const scores = Object.entries(decision.scores ?? {}).map(([name, score]) => `${words(name)} ${percent(score)}`);
  if (scores.length) parts.push(make("h3", "", "Models"), facts(scores));
  parts.push(make("p", "foot", foot(decision)));
  $("explained").replaceChildren(...parts);
}

function what(decision) {
  const line = make("p", "what");
  line.append(make("span", "pill " + decision.decision, decision.decision.toLowerCase()), make("code", "", decision.transaction_id));
  if (decision.fraud_probability !== null && decision.fraud_probability !== undefined) {
    const score = make("b", "", percent(decision.fraud_probability) + " ");
    score.append(make("small", "", "fraud"));
    line.append(score);
  }
  return line;
}

function reasons(found) {
  const list = make("ul", "reasons");
  for (const reason of found.reasons ?? []) {
    const item = make("li", "", reason.text);
    const usual = reason.usual === null || reason.usual === undefined ? "" : `, usual ${value(reason.usual)}`;
    if (reason.feature) item.append(make("small", "", `${words(reason.feature)} ${value(reason.value)}${usual}`));
    list.append(item);
  }
  if (!list.children.length) list.append(make("li", "soft", words(found.decision_reason ?? "no reason was needed")));
  return list;
}

function bars(contributions) {
  const grid = make("div", "bars");
  const largest = Math.max(...contributions.map((one) => Math.abs(one.contribution)), 1e-9);
  for (const one of contributions.slice(0, 6)) {
    const track = make("span", "track"), bar = make("i", one.contribution >= 0 ? "more" : "less");
    const width = (50 * Math.abs(one.contribution)) / largest;
    bar.style.width = width + "%";
    bar.style.left = (one.contribution >= 0 ? 50 : 50 - width) + "%";
    track.append(bar);
    const name = make("span", "", words(one.feature));
    name.title = one.feature;
    grid.append(name, make("span", "value", value(one.value)), track, make("span", "by", (one.contribution >= 0 ? "+" : "\u2212") + Math.abs(one.contribution).toFixed(2)));
  }
  return grid;
}

function facts(texts) {
  const line = make("div", "facts");
  for (const text of texts) line.append(make("span", "", text));
  return line;
}

function foot(decision) {
  const ms = decision.latency_ms?.total;
  const parts = [decision.detector, "model " + (decision.model_version ?? "none"), "event of " + decision.event_time];
  if (ms !== undefined) parts.push(`decided in ${short.format(ms)} ms`);
  if (decision.degraded) parts.push(`degraded: ${decision.degraded.part}, ${decision.degraded.cause}`);
  return parts.join(" \u00b7 ");
}

// ---------------------------------------------------------------- trying it

let setup = { detectors: {}, attacks: [] };

const path = () => (state.several ? `detectors/${encodeURIComponent($("detector").value)}/predict` : "predict") + ($("dry").checked ? "?dry_run=true" : "");

function showCurl() {
  let body = $("event").value;
  try { body = JSON.stringify(JSON.parse(body)); } catch { /* shown as typed */ }
  const url = new URL(path(), location.href).href;
  const key = state.closed ? `  -H "Authorization: Bearer $PENSTOCK_KEY" \\\n` : "";
  $("curl").textContent = `curl -s ${url.includes("?") ? `'${url}'` : url} \\\n${key}  -H 'content-type: application/json' \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
}

function showSamples() {
  const found = setup.detectors[$("detector").value].samples;
  $("sample").replaceChildren(...found.map((sample, at) => { const option = make("option", "", sample.about); option.value = at; return option; }));
  showSample();
}

// Every example gets an id of its own, so that it is decided and not answered with an earlier decision.
function showSample() {
  const { id, samples } = setup.detectors[$("detector").value];
  const event = { [id]: freshId(), ...samples[Number($("sample").value)].event };
  event[id] = freshId();
  $("event").value = JSON.stringify(event, null, 2);
  showCurl();
}

const freshId = () => "try-" + Date.now().toString(36);

function renewId() {
  const { id } = setup.detectors[$("detector").value];
  try {
    const event = JSON.parse($("event").value);
    if (!/^try-[0-9a-z]+$/.test(event[id])) return;
    event[id] = freshId();
    $("event").value = JSON.stringify(event, null, 2);
    showCurl();
  } catch { /* left as typed */ }
}

async function loadSetup() {
  const answer = await fetch("live/setup");
  if (!answer.ok) return;
  setup = await answer.json();
  const names = Object.keys(setup.detectors);
  if (!names.length) return void setTimeout(loadSetup, 1000);
  state.several = names.length > 1;
  $("served").textContent = "deciding for " + names.join(", ");
  $("choose").hidden = !state.several;
  $("detector").replaceChildren(...names.map((name) => make("option", "", name)));
  $("attacks").hidden = !setup.attacks.length;
  $("attack-buttons").replaceChildren(...setup.attacks.map(attackButton));
  showSamples();
}

function attackButton(name) {
  const button = make("button", "", words(name));
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await fetch("demo/attack/" + encodeURIComponent(name), { method: "POST" });
    $("attack-said").textContent = answer.ok ? `${words(name)} has begun.` : `${words(name)} could not be started (${answer.status}).`;
    setTimeout(() => { button.disabled = false; }, 3000);
  });
  return button;
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("answer").textContent = "\u2026";
  try {
    const answer = await fetch(path(), { method: "POST", headers: { "content-type": "application/json" }, body: $("event").value });
    const text = await answer.text();
    let shown = text;
    try {
      const found = JSON.parse(text);
      shown = JSON.stringify(found, null, 2);
      if (answer.ok && found.decision) {
        state.pinned = found;
        explain();
        renewId();
      }
    } catch { /* shown as it came */ }
    $("answer").textContent = `${answer.status} ${answer.statusText}\n${shown}`;
  } catch (error) {
    $("answer").textContent = `The service could not be reached: ${error.message}`;
  }
});

for (const [id, kind] of [["event", "input"], ["dry", "change"]]) $(id).addEventListener(kind, showCurl);
$("detector").addEventListener("change", showSamples);
$("sample").addEventListener("change", showSample);
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("curl").textContent);
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
});
$("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  $("pause").textContent = state.paused ? "Resume" : "Pause";
});
$("unpin").addEventListener("click", () => { state.pinned = null; explain(); showRows(); });

// ---------------------------------------------------------------- the connection

function show(message) {
  const waiting = Object.entries(message.ready).filter(([, reason]) => reason);
  $("status").dataset.state = waiting.length ? "wait" : "live";
  $("status").textContent = waiting.length ? waiting.map(([name, reason]) => `${name}: ${reason}`).join("; ") : "live";
  if (!message.stats) return;
  const before = state.last?.reduce((a, b) => a + b, 0) ?? 0;
  showCounts(message);
  showRate(message);
  showStream(message, before ? state.last.reduce((a, b) => a + b, 0) - before : 0);
  if (message.first_block && !state.first) {
    state.first = message.first_block;
    explain();
  }
}

let source = null;

function connect() {
  source?.close();
  source = new EventSource("live");
  source.onmessage = (event) => show(JSON.parse(event.data));
  source.onerror = () => {
    say("lost", "connection lost, trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(begin, 3000);
  };
}

function say(kind, text) {
  $("status").dataset.state = kind;
  $("status").textContent = text;
}

// ---------------------------------------------------------------- who looks

// An open service needs nobody to sign in; a closed one answers 401 until somebody has.
async function begin() {
  let answer;
  try { answer = await fetch("session"); } catch { return void setTimeout(begin, 3000); }
  if (answer.status === 401) return askWho();
  if (!answer.ok) return void setTimeout(begin, 3000);
  const { name, open } = await answer.json();
  state.closed = !open;
  $("sign-in").hidden = true;
  $("main").hidden = false;
  $("who").hidden = open;
  $("name").textContent = name;
  loadSetup();
  connect();
}

async function askWho() {
  source?.close();
  $("main").hidden = $("who").hidden = true;
  $("sign-in").hidden = false;
  say("wait", "sign in to see more");
  $("user").focus();
  const health = await (await fetch("health")).json();
  $("provider").hidden = !health.sign_in?.includes("oidc");
}

$("credentials").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = JSON.stringify({ name: $("user").value, password: $("password").value });
  $("password").value = $("sign-in-said").textContent = "";
  try {
    const answer = await fetch("session", { method: "POST", headers: { "content-type": "application/json" }, body: given });
    if (answer.ok) return void begin();
    $("sign-in-said").textContent = (await answer.json()).detail ?? `The service answered ${answer.status}.`;
  } catch (error) {
    $("sign-in-said").textContent = `The service could not be reached: ${error.message}`;
  }
});
// What was shown to one must not stay on the screen for the next: the page begins anew.
$("sign-out").addEventListener("click", async () => {
  await fetch("session", { method: "DELETE" });
  location.reload();
});

showRows();
begin();
