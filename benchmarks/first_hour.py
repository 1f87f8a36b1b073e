"""How long a newcomer waits: `penstock demo` from the wheel, in an empty folder, with an empty user cache.

A full run builds the wheel (minutes, unless build/ holds what goes into it); --quick measures the demo of this checkout.
README's commands, in order, are run by `pytest -m slow tests/integration/test_first_commands.py`.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _report import Row, main
from cold_start import installed

PAGE_S, DECISION_S, BLOCK_S, AGAIN_S = 5, 10, 30, 3
GIVEN_UP_S = 600
PAYMENT = {"customer_id": "C100004", "merchant_id": "Crypto", "amount": 4500, "lat": 13.1, "long": 77.6}


def run(quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        python = Path(sys.executable) if quick else installed(place)
        rows = []
        with demo(python, place) as (url, began, work):
            rows.append(Row.at_most("first start: a page", when(lambda: ask(url, "/"), began), "s", PAGE_S))
            waited = when(lambda: decided(url), began)
            rows.append(Row.at_most("first decision", waited, "s", DECISION_S))
            rows.append(Row.figure("first decision, work of the processor", work(), "s"))
            began_attack = time.perf_counter()
            ask(url, "/demo/attack/card_testing", b"")
            block = when(lambda: explained_block(url), began_attack)
            rows.append(Row.at_most("first explained block, the attack begun at once", waited + block, "s", BLOCK_S))
            past = json.loads(ask(url, "/stats"))["total"]
            rows.append(Row.figure("decisions that the demo begins with, and those since", past, ""))
        with demo(python, place) as (url, began, work):
            rows.append(Row.at_most("second start: a page", when(lambda: ask(url, "/"), began), "s", AGAIN_S))
            rows.append(Row.figure("the first decision of it", when(lambda: decided(url), began), "s"))
            rows.append(Row.figure("the first decision of it, work of the processor", work(), "s"))
        return rows


@contextmanager
def demo(python: Path, place: Path) -> Iterator[tuple[str, float, Callable[[], float]]]:
    """A demo that is starting: its address, when it was started, and its processor time in seconds."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(python), "-m", "penstock.cli", "demo", "--port", str(port), "--data", str(place / "data")],
        env={"HOME": str(place), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}", began, lambda: processor_s(process.pid)
    finally:
        process.terminate()
        process.wait(120)


def processor_s(pid: int) -> float:
    """The processor time of a process so far; NaN where the system does not tell it in /proc."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return float("nan")
    user, system = stat.read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
    return port


def when(works: Callable[[], Any], began: float) -> float:
    """Seconds from the beginning until it works."""
    while time.perf_counter() - began < GIVEN_UP_S:
        with suppress(OSError):
            if works():
                return time.perf_counter() - began
        time.sleep(0.05)
    raise TimeoutError(f"nothing within {GIVEN_UP_S} s")


def ask(url: str, path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url + path, data=body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
    return found


def decided(url: str) -> bool:
    payment = PAYMENT | {"timestamp": datetime.now(UTC).isoformat()}
    return "decision" in json.loads(ask(url, "/predict", json.dumps(payment).encode()))


def explained_block(url: str) -> bool:
    """Whether a payment of now was blocked, with reasons."""
    [newest] = json.loads(ask(url, "/transactions?limit=1&decision=BLOCK"))["transactions"] or [None]
    if newest is None:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(newest["decided_at"])
    whole = json.loads(ask(url, f"/transactions/{newest['transaction_id']}"))
    return age.total_seconds() < GIVEN_UP_S and bool(whole["explanation"]["reasons"])


if __name__ == "__main__":
    main(run)
