"""PostgreSQL as a synchronous ledger over TLS 1.3, beside the same service with plain HTTP and its ledger in a file.

LR + 200-tree XGBoost, 50 rules. `/predict` answers once PostgreSQL, with `fsync` and on this machine too, has committed the
decision. Requests a second: `wrk`, 64 kept connections, an id of its own in every request, the two services in turns.
Latency: at half of that rate, counted from the instant at which a request was due.
"""

import os
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from _report import Row, main
from _servers import Postgres
from tests.certificates import Authority

from penstock.adapters.postgres import create
from service import CONNECTIONS, HERE, at_rate, prepare, served, wrk

DETECTOR = str(HERE / "_fifty_rules.py")
SERVER = {"max_wal_size": "4GB", "checkpoint_timeout": "30min", "wal_compression": "lz4"}


def run(quick: bool) -> list[Row]:
    """Train, measure both services in turns, then the latency of the one with PostgreSQL."""
    name = f"/predict over TLS 1.3, committed in PostgreSQL, {CONNECTIONS} connections"
    missing = Postgres.missing() or (
        "wrk is not installed; on Debian: apt-get install wrk" if not shutil.which("wrk") else None
    )
    if missing:
        return [Row.absent(name, "requests/s", missing)]
    seconds, turns = (2, 2) if quick else (10, 5)
    with tempfile.TemporaryDirectory(prefix="penstock-") as given:
        folder = Path(given)
        bodies = prepare(folder, events=100_000 if quick else 600_000)
        with services(folder) as (ours, plain):
            rates: dict[str, list[float]] = {ours: [], plain: []}
            for url in rates:
                wrk(url, folder, 1, first=0)
            for turn in range(turns):
                for url, found in rates.items():
                    found.append(wrk(url, folder, seconds, first=(turn + 1) * 10_000 * seconds))
            best = median(rates[ours])
            ours_ms, plain_ms = (latency(url, bodies, int(best / 2), 3 if quick else 20) for url in rates)
    beside = "plain HTTP, ledger in a file, same rate"
    return [
        Row.at_least(name, best, "requests/s", 3_000),
        Row.faster("the same", best, "requests/s", "plain HTTP, ledger in a file", median(rates[plain])),
        Row.shorter("p50 at half of that rate", ours_ms["p50"], "ms", beside, plain_ms["p50"]),
        Row.shorter("p95 at half of that rate", ours_ms["p95"], "ms", beside, plain_ms["p95"]),
        Row.shorter("p99 at half of that rate", ours_ms["p99"], "ms", beside, plain_ms["p99"]),
        Row.at_most("the same", ours_ms["p99"], "ms", 20),
    ]


def latency(url: str, bodies: list[bytes], rate: int, seconds: int) -> dict[str, float]:
    """Percentiles at a rate; a request that is not answered ends the benchmark."""
    at_rate(url, bodies, seconds=1, rate=rate)
    found = at_rate(url, bodies, seconds=seconds, rate=rate).as_json()
    if found["errors"]:
        raise SystemExit(f"{found['errors']} of {found['requests']} requests were not answered: {found['statuses']}")
    return found["latency_ms"]


@contextmanager
def services(folder: Path) -> Iterator[tuple[str, str]]:
    """The addresses of both services."""
    authority = Authority(folder / "tls")
    pair = authority.issue("service")
    os.environ["SSL_CERT_FILE"] = str(authority.file)
    with Postgres(settings=SERVER) as database:
        create(database.url)
        options = ["--ledger", database.url, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key)]
        with (
            served(folder, folder / "ours", *options, detector=DETECTOR, scheme="https") as ours,
            served(folder, folder / "plain", detector=DETECTOR) as plain,
        ):
            check_version(ours)
            yield ours, plain


def check_version(url: str) -> None:
    """That TLS 1.3 is what is measured."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    with context.wrap_socket(socket.create_connection((parts.hostname, parts.port)), server_hostname=parts.hostname) as sock:
        assert sock.version() == "TLSv1.3"


if __name__ == "__main__":
    main(run)
