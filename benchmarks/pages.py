"""The console's pages over a month of a million decisions, thousands of cases and 200 rules, in a browser.

`penstock serve banking` answers; Chromium opens each page in turn. The time of a page is that from its first request for data
to the end of the last answer that it reads as it opens; its bytes are those of these answers as they travel. What a page sets
going by itself, such as the backtest of a rule, is not among them. `--quick` has 20,000 decisions and 50 rules,
and opens each page once.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from _report import Row, main, percentile

from penstock import Engine
from penstock.adapters.simulated import Simulation
from penstock.detectors.banking import detector
from penstock.detectors.banking.profile import profile
from penstock.offline.simulate import submitted
from penstock.testing import SetClock
from penstock.wiring.traffic.child import free_port, serving

DATA_MS, DATA_KB = 300, 150
SHADOW = 20
DAYS = 30
_AT_ONCE = 1_000
_MODELS = Path(__file__).parents[1] / "src" / "penstock" / "trained"
_WITHIN_S = 900
_SETTLED_S = 5
_CASES = {"PENSTOCK_CASE_SAMPLE": "0.003"}
"""More than by default, so that there are more than 5,000."""


def run(quick: bool) -> list[Row]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return [Row.absent("pages", "ms", "no Chromium is installed")]
    with tempfile.TemporaryDirectory() as folder:
        decide(Path(folder), 20_000 if quick else 1_000_000)
        with service(Path(folder)) as client:
            write_rules(client, 50 if quick else 200)
            cases = settled(lambda: sum(queue["waiting"] for queue in ask(client, "/cases/queues")["queues"]))
            wait_for_drift(client)
            took_ms, largest = measured(client, chromium, rounds=1 if quick else 11)
    rows = [Row.figure("open cases", cases, "")]
    for page in sorted(took_ms, key=lambda page: -percentile(took_ms[page], 95)):
        rows.append(Row.at_most(f"{page}, p95", percentile(took_ms[page], 95), "ms", DATA_MS))
        rows.append(Row.at_most(f"{page}, data", largest[page] / 1e3, "kB", DATA_KB))
    return rows


def decide(data: Path, count: int) -> None:
    """Decide a month of simulated payments that ends now, each at its time."""
    start = datetime.now(UTC) - timedelta(days=DAYS)
    frame = Simulation(profile, events=count, days=DAYS, seed=3, start=start).frame()
    clock = SetClock(start)
    with Engine(detector, data=data, models=_MODELS, clock=clock) as engine:
        for some in frame.iter_slices(_AT_ONCE):
            clock.at(some[profile.time].max())
            engine.decide_many(list(submitted(profile, some)))


@contextmanager
def service(data: Path) -> Iterator[httpx.Client]:
    """The service of the folder, once it is ready."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "penstock.cli", "serve", detector.name, "--data", str(data), "--models", str(_MODELS)]
    with (
        serving([*command, "--port", url.rpartition(":")[2]], url, within_s=_WITHIN_S, environment=os.environ | _CASES),
        httpx.Client(base_url=url, timeout=_WITHIN_S) as client,
    ):
        yield client


def ask(client: httpx.Client, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """The answer, which must be a good one."""
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
    return answer.json()


def write_rules(client: httpx.Client, count: int) -> None:
    """Rules of analysts, some of them in shadow."""
    rules = f"/detectors/{detector.name}/rules"
    for number in range(count):
        when = f"amount > {500 + number} AND count_last_1h >= {2 + number % 7}"
        ask(client, rules, {"name": f"large_{number}", "when": when, "note": "Looks for large payments in a row."})
        if number < SHADOW:
            ask(client, f"{rules}/large_{number}/shadow", {"version": 1})


def settled(count: Callable[[], int]) -> int:
    """A number, once it has not changed for some seconds: cases are opened in the background."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _SETTLED_S:
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.5)
    return seen


def wait_for_drift(client: httpx.Client) -> None:
    """Until drift has been measured, in the background."""
    within = time.monotonic() + _WITHIN_S
    while client.get(f"/detectors/{detector.name}/drift").status_code == httpx.codes.SERVICE_UNAVAILABLE:
        assert time.monotonic() < within, f"drift was not measured within {_WITHIN_S} s"
        time.sleep(1)


def pages(client: httpx.Client) -> dict[str, str]:
    """The addresses of the console's pages."""
    [case] = ask(client, "/cases?limit=1")["cases"]
    some, customer = case["transaction_id"], case["subject"]["key"]
    return {
        "Live": "/",
        "Review queue": "/queue",
        "Workload": "/queue?view=workload",
        "Transactions": "/transactions",
        "Blocked transactions": "/transactions?decision=block",
        "Transaction": f"/transactions/{some}",
        "Entity": f"/entities/customer/{customer}",
        "Impact": "/impact",
        "Rules": "/rules",
        "Lists": "/rules?tab=lists",
        "Approvals": "/rules?tab=approvals",
        "New rule": "/rules/new",
        "Rule": f"/rules/{detector.name}/amount_spike",
        "Rule in shadow": f"/rules/{detector.name}/large_0",
        "Model versions": "/models",
        "Evaluation": "/models?tab=evaluation",
        "Trials": "/models?tab=trials",
        "Drift": "/models?tab=drift",
        "Features": "/features",
        "Try": "/try",
        "Health": "/operations",
        "Quarantine": "/operations?tab=quarantine",
        "Alerts": "/operations?tab=alerts",
        "Daily reports": "/operations?tab=reports",
        "Webhooks": "/operations?tab=webhooks",
        "Audit log": "/operations?tab=audit",
        "Users and keys": "/operations?tab=access",
    }


def measured(client: httpx.Client, chromium: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """By page: milliseconds of each time that it was opened, not of the first of several rounds, and the most bytes of data."""
    from playwright.sync_api import sync_playwright

    took_ms, largest = defaultdict[str, list[float]](list), dict[str, int]()
    chance, addresses = random.Random(4), pages(client)
    with sync_playwright() as started:
        tab = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        for turn in range(rounds):
            for page in chance.sample(list(addresses), len(addresses)):
                answers = opened(tab, f"{client.base_url}/console{addresses[page]}")
                began = min(answer.request.timing["startTime"] for answer in answers)
                ended = max(answer.request.timing["startTime"] + answer.request.timing["responseEnd"] for answer in answers)
                largest[page] = max(largest.get(page, 0), sum(answer.request.sizes()["responseBodySize"] for answer in answers))
                if turn or rounds == 1:
                    took_ms[page].append(ended - began)
    return took_ms, largest


def opened(tab: Any, address: str) -> list[Any]:
    """The answers that a page reads as it opens, all of them good ones."""
    answers: list[Any] = []

    def keep(answer: Any) -> None:
        answers.append(answer)

    tab.on("response", keep)
    tab.goto(address, wait_until="networkidle")
    tab.remove_listener("response", keep)
    read = [answer for answer in answers if answer.request.resource_type == "fetch" and answer.request.method == "GET"]
    wrong = [f"{answer.status} {answer.url}" for answer in answers if answer.status >= 400]
    assert read, f"{address} asked for nothing"
    assert not wrong, f"{address}: {wrong}"
    return read


if __name__ == "__main__":
    main(run)
