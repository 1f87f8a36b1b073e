"""`penstock loadtest`: requests a second and latency of a running service."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, settings, settings_from
from penstock.errors import NotReady

if TYPE_CHECKING:
    from penstock.adapters.load import Measured


@click.command()
@click.option("--base-url", metavar="URL", default="http://127.0.0.1:8000", show_default=True, help="The service to measure.")
@click.option("--requests", type=click.IntRange(min=1), default=10_000, show_default=True, help="How many events to send.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Connections kept open.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Requests due a second, whatever the service does."
)
@click.option(
    "--serve", metavar="DETECTOR", help="Start a service of its own with this detector, in a scratch folder, and measure that."
)
@settings("key")
@as_json
def command(
    base_url: str, requests: int, concurrency: int, rate: float | None, serve: str | None, key: str | None, as_json: bool
) -> None:
    """Measure a running service: throughput and latency.

    It is sent simulated events of what it serves. Without --rate every connection sends as soon as it was answered:
    the highest throughput. With --rate latency counts from the instant at which a request was due, so that a
    service that stalls cannot hide it.
    """
    from penstock.assemble.traffic import load_test

    if serve:
        with own_service(serve) as url:
            measured = load_test(url, requests=requests, concurrency=concurrency, rate=rate)
    else:
        key = settings_from(key=key).key
        measured = load_test(base_url, requests=requests, concurrency=concurrency, rate=rate, key=key)
    if as_json:
        print_json(measured.as_json())
    else:
        show(measured)
    if measured.errors == measured.requests:
        raise click.exceptions.Exit(1)


def show(measured: "Measured") -> None:
    """The figures, for people."""
    found = measured.as_json()
    latency = found["latency_ms"]
    click.echo(f"{found['requests_per_s']:,.0f} requests/s ({found['requests']:,} in {found['seconds']:.2f} s)")
    if latency["p50"] is not None:
        click.echo(f"p50 {latency['p50']:.2f} ms   p95 {latency['p95']:.2f} ms   p99 {latency['p99']:.2f} ms")
    detail = ", ".join(f"{count:,} x {status}" for status, count in found["statuses"].items() if not status.startswith("2"))
    click.echo(f"errors {found['errors']:,}" + (f" ({detail})" if detail else ""))


@contextmanager
def own_service(detector: str) -> Iterator[str]:
    """A service with this detector and its trained models on a free port, with a scratch folder for its data.

    Raises:
        NotReady: it did not come up; the message is what it said.
    """
    from penstock.assemble.traffic import is_ready

    port = _free_port()
    models = settings_from().models_folder
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder, tempfile.TemporaryFile() as said:
        command_line = [sys.executable, "-m", "penstock.cli", "serve", detector, "--port", str(port), "--data", folder]
        process = subprocess.Popen([*command_line, "--models", str(models)], stdout=said, stderr=said)  # noqa: S603 -- our own program
        try:
            while not is_ready(f"http://127.0.0.1:{port}"):
                if process.poll() is not None:
                    said.seek(0)
                    raise NotReady(f"the service did not start: {said.read().decode(errors='replace').strip()}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
