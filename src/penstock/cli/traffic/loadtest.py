"""`penstock loadtest`: requests a second and latency of a running service."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, progress, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.adapters.load import Measured
    from penstock.config import Settings


@click.command()
@click.option("--base-url", metavar="URL", default="http://127.0.0.1:8000", show_default=True, help="The service to measure.")
@click.option("--requests", type=click.IntRange(min=1), default=10_000, show_default=True, help="How many events to send.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Connections kept open.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Requests due a second, whatever the service does."
)
@click.option("--serve", metavar="DETECTOR", help="Start a service with this detector, in a scratch folder, and measure that.")
@click.option(
    "--start-within",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the service of --serve may take to become ready.",
)
@settings("key", "tls_cert", "tls_key", "models", "registry")
@as_json
def command(
    base_url: str,
    requests: int,
    concurrency: int,
    rate: float | None,
    serve: str | None,
    start_within: float,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Measure a running service: throughput and latency.

    It is sent simulated events of what it serves. Without --rate every connection sends as soon as it was answered:
    the highest throughput. With --rate latency counts from the instant at which a request was due, so that a
    service that stalls cannot hide it. A detector of --serve that has no trained models yet gets small ones, which are
    trained on simulated events and not kept.
    """
    from msgspec import structs

    from penstock.wiring.traffic.events import load_test

    settings = settings_from(**flags)
    if serve:
        with own_service(serve, settings, start_within) as url:
            own = structs.replace(settings, key=None)
            measured = load_test(url, requests=requests, concurrency=concurrency, rate=rate, settings=own)
    else:
        measured = load_test(base_url, requests=requests, concurrency=concurrency, rate=rate, settings=settings)
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
def own_service(reference: str, settings: "Settings", within_s: float) -> Iterator[str]:
    """A service with this detector and its trained models on a free port, with a scratch folder for its data.

    Raises:
        NotReady: it was not ready within so many seconds, or it ended; the message is what it said.
    """
    from penstock.offline.registry import champion_of
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.registries import open_registry
    from penstock.wiring.traffic.child import free_port, serving
    from penstock.wiring.traffic.events import train_small

    url = f"{'http' if settings.tls_cert is None else 'https'}://127.0.0.1:{(port := free_port())}"
    detector = load_detector(reference)
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        options = ["--port", str(port), "--data", folder]
        options += ["--tls-cert", str(settings.tls_cert)] if settings.tls_cert else []
        options += ["--tls-key", str(settings.tls_key)] if settings.tls_key else []
        if detector.models and champion_of(open_registry(settings), detector) is None:
            models = Path(folder) / "models"
            say(f"{settings.models_folder} holds no models of {detector.name}: training small ones for this load test")
            with progress("training") as advance:
                train_small(reference, models, progress=advance)
            options += ["--models", str(models), "--registry", "folder"]
        else:
            options += ["--models", str(settings.models_folder), "--registry", settings.registry]
        command_line = [sys.executable, "-m", "penstock.cli", "serve", reference, *options]
        with serving(command_line, url, within_s=within_s, say=say):
            yield url
