"""`penstock demo`: a complete service with simulated bank customers."""

import shutil
import sys
import threading
from pathlib import Path

import click

from penstock.cli.options import progress, say, settings, settings_from

SAMPLE = (
    """'{"timestamp": "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'", "customer_id": "C100004", "merchant_id": "Crypto","""
    """ "amount": 4500, "lat": 13.1, "long": 77.6}'"""
)
"""A payment with the current time, as an argument in a shell."""


@click.command()
@settings("host", "port", "tls_cert", "tls_key", "tls_client_ca", "data", "models")
@click.option(
    "--tps", type=click.FloatRange(min=0), default=5.0, show_default=True, metavar="N", help="Simulated payments a second."
)
@click.option("--attack", metavar="NAME", help="Run this attack from the start, and no other.")
def command(tps: float, attack: str | None, **flags: str | None) -> None:
    """Start a server with a trained detector and live traffic.

    The console's address answers at once, and shows the progress of the first start, which decides 30 days of simulated
    payments with the trained models that come with the package; it trains only where these are missing. Models and
    decisions are kept in the data folder, so that later starts are quick.
    """
    from contextlib import ExitStack
    from dataclasses import replace

    import msgspec

    from penstock.cli.logs import begin_logging
    from penstock.cli.signals import stop_on_signals
    from penstock.features.compiled import background
    from penstock.service import Preparation, TrafficSender, bind, serve, url_of
    from penstock.wiring.demo import DETECTOR, Demo
    from penstock.wiring.service_parts import served_parts

    settings = settings_from(**flags)
    settings = msgspec.structs.replace(settings, alerts=settings.alerts or "defaults")
    begin_logging(settings)
    sock = bind(settings.host, settings.port)
    url = url_of(settings, sock)
    demo = Demo(settings, tps=tps, attack=attack)
    demo.begin()
    preparation, opened = Preparation("Starting"), threading.Event()
    say(f"preparing; {url} shows the progress")
    compiles = background.running(on=settings.compile_features)
    served = served_parts({DETECTOR: demo.detector}, settings, demo.replays)
    with ExitStack() as preparing, compiles, served as parts, demo.running(tps) as (bodies, labels):
        advance = preparing.enter_context(progress("preparing"))
        traffic = TrafficSender(DETECTOR, bodies, tps, attacks=demo.world.attacks(), labels=labels) if tps else None

        def step(share: float, what: str | None = None) -> None:
            preparation.advance(share, what)
            advance(share)

        def on_ready() -> None:
            opened.set()
            preparing.close()
            welcome(url, str(settings.data))

        serve(
            replace(parts, openers={DETECTOR: demo.preparing(parts.openers[DETECTOR], step)}),
            settings,
            sock=sock,
            traffic=traffic,
            preparation=preparation,
            on_ready=on_ready,
            on_server=lambda stop: stop_on_signals(stop, settings.stop_within_s, started=opened.is_set),
        )


def welcome(url: str, data: str) -> None:
    """Print the next steps."""
    text = f"""
Penstock is deciding. Its console: {url}

Ask it:

  curl -s {url}/predict -H 'content-type: application/json' -d {SAMPLE}

Then:

  {url}/docs                              every route, to try out
  penstock loadtest --base-url {url}      how fast it is here
  penstock query --data {data} "select decision, count(*) from decisions group by all"
  penstock explain --data {data} ID       why one was decided so
  penstock demo --attack card_testing     starts with this attack, and no other

Ctrl-C stops.
"""  # noqa: S608 -- a command line to copy
    say(text + in_the_shell(Path(sys.executable).parent / "penstock"))


def in_the_shell(program: Path) -> str:
    """The command for `penstock` in the shell, if it is not on the path: as after `make run`, which installs it into .venv."""
    found = shutil.which(program.name)
    if not program.exists() or (found is not None and Path(found).samefile(program)):
        return ""
    activate = program.with_name("activate")
    ways = [f"source {activate}"] * activate.exists() + [f"write {program} instead"]
    return f"\nYour shell does not find penstock yet: {', or '.join(ways)}.\n"
