"""`penstock send`: sends a recorded file to a running service or a broker."""

from pathlib import Path

import click

from penstock.cli.options import DESTINATIONS, detector_argument, read_events, sending, settings, settings_from


@click.command()
@detector_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--to", required=True, metavar="URL", help=f"Where to: {DESTINATIONS}.")
@click.option(
    "--tps",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Events a second; as fast as they are taken unless given.",
)
@click.option("--labels/--no-labels", default=True, show_default=True, help="Send each label at its place among the events.")
@settings("shard_key", "key", "tls_cert", "tls_key", "max_refused")
def command(detector: str, file: Path, to: str, tps: float | None, labels: bool, **flags: str | None) -> None:
    """Send a recorded file to a running service, or into a broker.

    FILE is .csv, .parquet or .ndjson. Events are sent in arrival order; each label follows at the place at which it
    became known.
    """
    from penstock.wiring.traffic.events import recorded_items
    from penstock.wiring.traffic.producers import send

    given = settings_from(**flags)
    recorded = read_events(detector, file, given)
    with sending(len(recorded.frame)) as on_sent:
        items = recorded_items(detector, recorded, labels=labels)
        send(to, items, detector, settings=given, tps=tps, on_sent=on_sent)
