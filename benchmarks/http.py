"""HTTP: durable decisions (LR + XGBoost, 10 rules) beside a FastAPI route that returns a constant; latency at a fixed rate.

Same server settings, same client (`wrk`, 64 connections, an id of its own in every request), in turns. The latency is
taken by `penstock loadtest --rate`, with a million customers in state.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from _report import Row, main

SERVED = str(Path(__file__).with_name("_served.py"))
CONNECTIONS = 64
RATE = 2_000
KEYS = 1_000_000

WRK_SCRIPT = """
local run, n = "%s", 0
request = function()
  n = n + 1
  local body = string.format('{"transaction_id":"%%s-%%d","timestamp":"2026-02-06T%%02d:%%02d:%%02dZ","customer_id":"C%%06d",'
    .. '"merchant_id":"M%%04d","amount":%%.2f,"lat":40.71,"long":-74.0}',
    run, n, n / 3600 %% 24, n / 60 %% 60, n %% 60, n * 7919 %% 200000, n * 31 %% 5000, 5 + n %% 90)
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
uvicorn.Server(uvicorn_config(app)).run(sockets=[sock])
"""


def run(quick: bool) -> list[Row]:
    """Train, then measure the two servers in turns, then the latency with a full state."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        train(folder)
        return [
            *throughput(folder, seconds=3 if quick else 10, turns=2 if quick else 5),
            *latency(folder, seconds=4 if quick else 20),
        ]


def train(folder: Path) -> None:
    """A bundle from simulated history, for the detector with ten rules."""
    penstock(
        "simulate",
        "banking",
        "--events",
        "60000",
        "--seed",
        "7",
        "--fraud-rate",
        "0.01",
        "--out",
        str(folder / "history.parquet"),
    )
    penstock("train", SERVED, "--data", str(folder / "history.parquet"), "--save", "--models", str(folder / "models"))


def throughput(folder: Path, *, seconds: int, turns: int) -> list[Row]:
    """Requests a second of both servers, taken in turns so that a slow moment of the machine meets both."""
    name = f"/predict, durable, {CONNECTIONS} connections"
    if shutil.which("wrk") is None:
        return [Row.absent(name, "requests/s", "wrk is not installed; on Debian: apt-get install wrk")]
    ours: list[float] = []
    constant: list[float] = []
    with served(folder, folder / "data") as url, constant_route() as other:
        wrk(url, folder, 1)
        for _ in range(turns):
            constant.append(wrk(other, folder, seconds))
            ours.append(wrk(url, folder, seconds))
    return [Row.faster(name, median(ours), "requests/s", "FastAPI route, constant", median(constant), target=1.5)]


def latency(folder: Path, *, seconds: int) -> list[Row]:
    """Percentiles at a fixed rate, with a million customers in state."""
    data = folder / "warm"
    write_customers(folder / "customers.parquet")
    penstock(
        "load",
        SERVED,
        str(folder / "customers.parquet"),
        "--data",
        str(data),
        "--models",
        str(folder / "models"),
    )
    with served(folder, data) as url:
        loadtest(url, seconds=1)
        found = loadtest(url, seconds=seconds)
    if found["errors"]:
        raise SystemExit(f"{found['errors']} of {found['requests']} requests were not answered: {found['statuses']}")
    at = f"at {RATE:,}/s with {KEYS:,} customers in state"
    return [
        Row.figure(f"p50 {at}", found["latency_ms"]["p50"], "ms"),
        Row.at_most(f"p99 {at}", found["latency_ms"]["p99"], "ms", 5),
    ]


def write_customers(path: Path) -> None:
    """One payment of each of a million customers."""
    import numpy as np
    import polars as pl

    number = np.arange(KEYS)
    frame = pl.DataFrame({
        "transaction_id": pl.Series(number).cast(pl.String) + "-warm",
        "timestamp": pl.from_epoch(pl.Series(1_769_000_000 + number // 2), time_unit="s"),
        "customer_id": "W" + pl.Series(number).cast(pl.String),
        "merchant_id": "M" + pl.Series(number * 31 % 5000).cast(pl.String),
        "amount": (5 + number % 90).astype(np.float64),
        "lat": 40.71,
        "long": -74.0,
        "is_fraud": False,
    })  # fmt: skip
    frame.write_parquet(path)


# ---------------------------------------------------------------- servers and clients


def penstock(*arguments: str) -> str:
    """Run a command of the package and return what it printed."""
    done = subprocess.run([sys.executable, "-m", "penstock.cli", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"penstock {' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def loadtest(url: str, *, seconds: int) -> dict:
    """What `penstock loadtest` measures at the fixed rate."""
    requests = str(RATE * seconds)
    return json.loads(
        penstock("loadtest", "--base-url", url, "--rate", str(RATE), "--requests", requests, "--concurrency", "64", "--json")
    )


def wrk(url: str, folder: Path, seconds: int) -> float:
    """Requests a second, as wrk counts them; any answer that is not a decision ends the benchmark."""
    script = folder / "request.lua"
    script.write_text(WRK_SCRIPT % f"{time.time_ns():x}")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise SystemExit(f"not every request was answered:\n{printed}")
    return float(printed.split("Requests/sec:")[1].split()[0])


@contextlib.contextmanager
def served(folder: Path, data: Path) -> Iterator[str]:
    """The service with the trained detector."""
    options = ["--data", str(data), "--models", str(folder / "models")]
    with process(lambda port: [sys.executable, "-m", "penstock.cli", "serve", SERVED, "--port", port, *options]) as url:
        yield url


@contextlib.contextmanager
def constant_route() -> Iterator[str]:
    """The FastAPI route that returns a constant."""
    with process(lambda port: [sys.executable, "-c", NOOP, port]) as url:
        yield url


@contextlib.contextmanager
def process(command: Callable[[str], list[str]]) -> Iterator[str]:
    """A server of its own, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with tempfile.TemporaryFile() as said, subprocess.Popen(command(port), stdout=said, stderr=said) as running:
        url = f"http://127.0.0.1:{port}"
        try:
            while not ready(url):
                if running.poll() is not None:
                    said.seek(0)
                    raise SystemExit(f"the server did not start:\n{said.read().decode()}")
                time.sleep(0.1)
            yield url
        finally:
            running.terminate()
            running.wait(60)


def ready(url: str) -> bool:
    """Whether a server answers and can decide."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main(run)
