"""`penstock simulate`: realistic traffic for a detector."""

from pathlib import Path
from typing import Any

import click

from penstock.cli.options import DESTINATIONS, detector_argument, instant, say, sending, settings, settings_from


@click.command()
@detector_argument
@click.option(
    "--events", type=click.IntRange(min=1), metavar="N", help="How many; 10,000 unless --to and --tps say for how long."
)
@click.option(
    "--tps",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Events a second, with simulated time passing as real time does.",
)
@click.option(
    "--fraud-rate",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of events that are fraud.",
)
@click.option("--attack", "attacks", multiple=True, metavar="NAME", help="Only these attacks; all of them unless given.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same events.")
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Days that the events are spread over.",
)
@click.option("--start", type=instant, metavar="T", help="First instant, UTC.  [2026-01-01; now with --tps]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write .parquet, .csv or .ndjson, with labels.",
)
@click.option("--to", metavar="URL", help=f"Send to {DESTINATIONS}.")
@settings("shard_key", "key", "tls_cert", "tls_key")
def command(
    detector: str,
    out: Path | None,
    to: str | None,
    shard_key: str | None,
    key: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    **world: Any,
) -> None:
    """Generate realistic traffic, with attacks and late labels.

    To a file, to a service, to a broker, or as NDJSON on standard output. People have habits, places and merchants;
    honest ones do odd things too. A file also holds what is known only later: the label, when it became known, and the
    attack.
    """
    from penstock.wiring.traffic.events import simulation, write_frame
    from penstock.wiring.traffic.producers import send

    if out is not None and to is not None:
        raise click.UsageError("--out and --to exclude one another; run the command twice with the same --seed")
    simulated = simulation(detector, **world)
    if to is not None:
        with sending(simulated.events) as on_sent:
            given = settings_from(shard_key=shard_key, key=key, tls_cert=tls_cert, tls_key=tls_key)
            send(to, simulated.items(), detector, settings=given, tps=world["tps"], on_sent=on_sent)
    elif out is not None:
        frame = simulated.frame()
        write_frame(frame, out)
        say(f"{len(frame):,} events in {out}")
    else:
        for line in simulated.lines():
            click.echo(line)
