"""Rules changed under load: how soon decisions follow a POST, and how soon a guard takes back a rule that blocks everything.

The service runs in a process of its own (9 features, LR + 200-tree XGBoost, 10 rules), 500 payments a second come over 16
connections, none of which any rule would stop. A change puts a new version of one rule in force, which reviews or blocks
every payment in turn; each version has a condition of its own, so that what decided can be told from every answer.
"""

import json
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from _report import Row, main, percentile
from _traffic import Answer, Traffic

from service import prepare, served

RATE = 500
RULES = "/detectors/benchmark/rules"
SETTLE_S = 1.0
PAUSE_S = 0.5
GUARD = {"figure": "block_rate", "more": 0.05, "window": "10s", "least": 500}
WINDOW_S = 10.0


def run(quick: bool) -> list[Row]:
    """Change rules, then break one."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        prepare(folder, events=10)
        with served(folder, folder / "data") as url:
            rows = changes(url, 8 if quick else 40)
            rows += guarded(url, "own", WINDOW_S, [GUARD])
            return rows + guarded(url, "policy", 300.0, None)


def payment(run: str) -> Callable[[int], bytes]:
    """Makes payments that nothing stops: each of another customer."""

    def make(number: int) -> bytes:
        event = {
            "transaction_id": f"{run}-{number}",
            "timestamp": datetime.now(UTC).isoformat(),
            "customer_id": f"{run}-c{number}",
            "device_id": f"{run}-d{number}",
            "merchant_id": f"m{number % 1000}",
            "amount": 20.0,
        }
        return json.dumps(event).encode()

    return make


def post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the service answers; any other answer than yes ends the benchmark."""
    data = json.dumps(body).encode()
    asked = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)


# ---------------------------------------------------------------- a change


class Change(NamedTuple):
    """A version that was put in force. posted_s, answered_s: of the request that did it; said: what it makes of a payment."""

    posted_s: float
    answered_s: float
    said: str


def changes(url: str, count: int) -> list[Row]:
    """So many changes, one after the other."""
    with Traffic(url, payment("still"), RATE) as still:
        time.sleep(SETTLE_S + count * PAUSE_S)
    made = []
    with Traffic(url, payment("change"), RATE) as traffic:
        time.sleep(SETTLE_S)
        for number in range(1, count + 1):
            made.append(changed(url, number))
            time.sleep(PAUSE_S)
    post(url, f"{RULES}/every/archive", {})
    firsts, halves, late = judged(traffic.answers, made)
    about = f"{count} changes at {RATE} payments/s"
    quiet = percentile(latencies(still.answers), 99)
    return [
        Row.figure(f"rule change, POST to the first decision by it, p50 ({about})", median(firsts), "s"),
        Row.at_most("the same, longest", max(firsts), "s", 1),
        Row.at_most(f"requests that failed, of {len(traffic.answers):,}", float(traffic.failed), "requests", 0),
        Row.at_most("decisions by half a change", float(halves), "decisions", 0),
        Row.at_most("decisions by the old rule, asked after the change was answered", float(late), "decisions", 0),
        Row.shorter(
            "p99 of payments while rules change", percentile(latencies(traffic.answers), 99), "ms", "no rule changes", quiet
        ),
    ]


def changed(url: str, number: int) -> Change:
    """Put the next version of the rule in force."""
    then = "block" if number % 2 else "review"
    body = {"name": "every", "when": f"amount > {number / 1000}", "then": then}
    version = post(url, RULES, body)["version"]["version"]
    posted = time.perf_counter()
    post(url, f"{RULES}/every/promote", {"version": version})
    return Change(posted, time.perf_counter(), then.upper())


def judged(answers: list[Answer], made: list[Change]) -> tuple[list[float], int, int]:
    """Seconds from each POST to the first decision by it; decisions that fit no whole set of rules; decisions that were late.

    Versions of rules are told apart by their order of appearance: before any change, then one for each.
    """
    decided = [(answer, answer.decided) for answer in sorted(answers, key=lambda each: each.answered_s) if answer.status == 200]
    seen: dict[str, float] = {}
    for answer, found in decided:
        seen.setdefault(found.versions.rules, answer.answered_s)
    if len(seen) != len(made) + 1:
        raise SystemExit(f"decisions were made by {len(seen)} sets of rules, {len(made) + 1} were in force")
    expected = dict(zip(seen, ["APPROVE", *(change.said for change in made)], strict=True))
    numbers = {version: number for number, version in enumerate(seen)}
    firsts = [seen[version] - change.posted_s for version, change in zip(list(seen)[1:], made, strict=True)]
    halves = sum(found.decision != expected[found.versions.rules] or not whole(found) for _, found in decided)
    answered = [change.answered_s for change in made]
    due = [sum(at < answer.sent_s for at in answered) for answer, _ in decided]
    late = sum(numbers[found.versions.rules] < least for (_, found), least in zip(decided, due, strict=True))
    assert all(earlier < later for earlier, later in pairwise(answered))
    return firsts, halves, late


def whole(found: Any) -> bool:
    """Whether the rules that fired are those that decide."""
    fired = [rule.name for rule in found.explanation.rules]
    return fired == ([] if found.decision == "APPROVE" else ["every"])


def latencies(answers: list[Answer]) -> list[float]:
    """Milliseconds of each answer."""
    return [1e3 * (answer.answered_s - answer.sent_s) for answer in answers]


# ---------------------------------------------------------------- a guard


def guarded(url: str, whose: str, window_s: float, guards: list[dict[str, Any]] | None) -> list[Row]:
    """A rule that blocks everything, rolled out to a tenth of the customers: how long it does, and what it stops meanwhile.

    guards: of the rollout, in place of the policy's.
    """
    name = f"everything_{whose}"
    post(url, RULES, {"name": name, "when": "amount > 0", "then": "block"})
    asked = {"version": 1, "percent": 10, "of": "customer_id"} | ({} if guards is None else {"guards": guards})
    with Traffic(url, payment(name), RATE) as traffic:
        time.sleep(SETTLE_S)
        posted = time.perf_counter()
        post(url, f"{RULES}/{name}/rollout", asked)
        while state(url, name) == "rollout":
            if time.perf_counter() > posted + window_s:
                raise SystemExit(f"{name} is still in force after {window_s:g} s")
            time.sleep(0.05)
        time.sleep(SETTLE_S)
    blocked = [answer.answered_s for answer in traffic.answers if b'"decision":"BLOCK"' in answer.body]
    if not blocked:
        raise SystemExit(f"{name} never blocked anything, so nothing was measured")
    within = [answer for answer in traffic.answers if posted <= answer.sent_s <= max(blocked)]
    back = max(blocked) - posted
    return [
        Row.at_most(
            f"a rule that blocks everything, on 10 %, back ({whose} guards, window {window_s:g} s)", back, "s", window_s
        ),
        Row.figure(f"blocked meanwhile, of {len(within):,} payments", float(len(blocked)), "payments"),
        Row.at_most("requests that failed", float(traffic.failed), "requests", 0),
    ]


def state(url: str, name: str) -> str:
    """What a rule is doing."""
    with urllib.request.urlopen(f"{url}{RULES}/{name}", timeout=30) as answer:
        return json.load(answer)["rule"]["state"]


if __name__ == "__main__":
    main(run)
