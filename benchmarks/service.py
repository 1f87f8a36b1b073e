"""HTTP: durable decisions (LR + 200-tree XGBoost, 10 rules) beside a FastAPI route that returns a constant; and latency.

Requests a second: uvicorn with the same settings (uvloop, httptools, garbage collection out of the way), same client
(`wrk`, 64 connections, an id of its own in every request), in turns. Latency: the client of `penstock loadtest --rate`,
with a million customers in state.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import polars as pl
from _report import Row, main
from _workload import EPOCH_US, scoring_detector, stream, trained

from penstock import Detector
from penstock.adapters.http import ServiceAddress, request
from penstock.adapters.load import Measured, measure
from penstock.models import About, promote, save
from penstock.wiring.traffic.child import free_port, serving

HERE = Path(__file__).parent
SERVED = str(HERE / "_served.py")
CONNECTIONS = 64
RATE = 2_000
START_WITHIN_S = 300.0
KEYS = 1_000_000

WRK_SCRIPT = """
local bodies = {}
for line in io.lines("%(events)s") do bodies[#bodies + 1] = line end
local n = %(first)d
request = function()
  n = n + 1
  local body = '{"transaction_id":"%(run)s-' .. n .. '",' .. bodies[n %% #bodies + 1]
  return wrk.format("POST", "/predict", {["content-type"] = "application/json"}, body)
end
"""

NOOP = """
import sys
from fastapi import FastAPI
import uvicorn
from penstock.service.server import bind, settle_garbage, uvicorn_config

app = FastAPI()

@app.post("/predict")
async def predict():
    return {"decision": "APPROVE"}

@app.get("/ready")
async def ready():
    return {}

sock = bind("127.0.0.1", int(sys.argv[1]))
settle_garbage()
config = uvicorn_config(app)
config.http = "httptools"  # uvicorn's own protocol, as anybody's FastAPI application has it
uvicorn.Server(config).run(sockets=[sock])
"""


def run(quick: bool) -> list[Row]:
    """Train, measure the two servers in turns, then the latency with a full state."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        bodies = prepare(folder, events=100_000 if quick else 600_000)
        rows = throughput(folder, seconds=2 if quick else 10, turns=2 if quick else 5)
        return rows + latency(folder, bodies, seconds=3 if quick else 20)


def prepare(folder: Path, *, events: int, declared: Detector | None = None) -> list[bytes]:
    """Models in the folder, and the events that are sent, as JSON without their first brace and their id."""
    declared = declared or scoring_detector()
    ensemble = trained(declared, stream(40_000, seed=5))
    about = About(declared.name, "2026-01-01T00:00:00Z", declared.fingerprint(ensemble.features))
    promote(folder / "models", declared.name, save(ensemble, folder / "models", about).version)
    made = stream(events).drop("transaction_id")
    bodies = [msgspec.json.encode(row)[1:] for row in made.iter_rows(named=True)]
    (folder / "events").write_bytes(b"\n".join(bodies))
    return bodies


# ---------------------------------------------------------------- requests a second


def throughput(folder: Path, *, seconds: int, turns: int) -> list[Row]:
    """Requests a second of both servers, taken in turns so that a slow moment of the machine meets both."""
    name = f"/predict, durable, {CONNECTIONS} connections"
    if shutil.which("wrk") is None:
        return [Row.absent(name, "requests/s", "wrk is not installed; on Debian: apt-get install wrk")]
    ours: list[float] = []
    constant: list[float] = []
    with served(folder, folder / "data") as url, constant_route() as other:
        wrk(url, folder, 1, first=0)
        for turn in range(turns):
            constant.append(wrk(other, folder, seconds, first=0))
            ours.append(wrk(url, folder, seconds, first=(turn + 1) * 10_000 * seconds))
        stopped = stopped_share(url)
    return [
        Row.faster(name, median(ours), "requests/s", "FastAPI route, constant", median(constant), target=1.5),
        Row.figure("of these not approved, and explained", 100 * stopped, "%"),
    ]


def stopped_share(url: str) -> float:
    """Which share of the decisions was not an approval."""
    with urllib.request.urlopen(f"{url}/stats", timeout=30) as answer:
        return json.load(answer)["fraud_rate"]


def wrk(url: str, folder: Path, seconds: int, *, first: int) -> float:
    """Requests a second, as wrk counts them; any answer that is not a decision ends the benchmark."""
    script = folder / "request.lua"
    script.write_text(WRK_SCRIPT % {"run": f"{time.time_ns():x}", "events": folder / "events", "first": first})
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise SystemExit(f"not every request was answered:\n{printed}")
    return float(printed.split("Requests/sec:")[1].split()[0])


# ---------------------------------------------------------------- latency


def latency(folder: Path, bodies: list[bytes], *, seconds: int) -> list[Row]:
    """Percentiles at a fixed rate, with a million customers in state."""
    write_customers(folder / "customers.parquet")
    penstock("load", SERVED, str(folder / "customers.parquet"), "--data", str(folder / "warm"))
    with served(folder, folder / "warm") as url:
        at_rate(url, bodies, seconds=1)
        found = at_rate(url, bodies, seconds=seconds).as_json()
    if found["errors"]:
        raise SystemExit(f"{found['errors']} of {found['requests']} requests were not answered: {found['statuses']}")
    at = f"at {RATE:,}/s with {KEYS:,} customers in state"
    return [
        Row.figure(f"p50 {at}", found["latency_ms"]["p50"], "ms"),
        Row.at_most(f"p99 {at}", found["latency_ms"]["p99"], "ms", 5),
    ]


def at_rate(url: str, bodies: list[bytes], *, seconds: int, rate: int = RATE) -> Measured:
    """What `penstock loadtest --rate` does, with the events of this benchmark."""
    address, run = ServiceAddress.of(url), b'{"transaction_id":"%x-' % time.time_ns()

    def make(number: int) -> bytes:
        return request(address, "POST", "/predict", run + b'%d",' % number + bodies[number % len(bodies)])

    return measure(address, make, requests=rate * seconds, concurrency=CONNECTIONS, rate=rate)


def write_customers(path: Path) -> None:
    """One payment of each of a million customers, in the month before."""
    number = pl.Series(np.arange(KEYS))
    columns = {
        "transaction_id": "warm-" + number.cast(pl.String),
        "timestamp": (EPOCH_US - (KEYS - number) * 2_000_000).cast(pl.Datetime("us", "UTC")),
        "customer_id": "W" + number.cast(pl.String),
        "device_id": "D" + (number % 8_000).cast(pl.String),
        "merchant_id": "M" + (number * 31 % 1_000).cast(pl.String),
        "amount": 5.0 + number % 90,
    }
    pl.DataFrame(columns).write_parquet(path)


# ---------------------------------------------------------------- processes


def penstock(*arguments: str) -> None:
    """Run a command of the package."""
    command = [sys.executable, "-m", "penstock.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode:
        raise SystemExit(f"penstock {' '.join(arguments)}\n{done.stderr}")


def environment() -> dict[str, str]:
    """The environment of child processes: the served detector imports the shared workload."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))}


@contextlib.contextmanager
def served(folder: Path, data: Path, *more: str, detector: str = SERVED, scheme: str = "http") -> Iterator[str]:
    """The service with the trained detector. more: further options."""
    command = [sys.executable, "-m", "penstock.cli", "serve", detector, "--data", str(data), "--models", str(folder / "models")]
    with process(lambda port: [*command, "--port", port, *more], scheme) as url:
        yield url


@contextlib.contextmanager
def constant_route() -> Iterator[str]:
    """The FastAPI route that returns a constant."""
    with process(lambda port: [sys.executable, "-c", NOOP, port]) as url:
        yield url


@contextlib.contextmanager
def process(command: Callable[[str], list[str]], scheme: str = "http") -> Iterator[str]:
    """A server of its own, once it is ready."""
    port = free_port()
    url = f"{scheme}://127.0.0.1:{port}"
    with serving(command(str(port)), url, within_s=START_WITHIN_S, say=say, environment=environment()):
        yield url


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(run)
