"""`penstock load`: state from history."""

from pathlib import Path

import click

from penstock.cli.options import detector_argument, progress, say, settings, settings_from


@click.command()
@detector_argument
@click.argument("file", type=click.Path(path_type=Path))
@settings("data")
def command(detector: str, file: Path, data: str | None) -> None:
    """Warm the state from recorded events.

    No decisions, alerts or cases come of it.
    """
    from penstock.assemble.detectors import load_detector
    from penstock.assemble.engines import load_history, open_engine
    from penstock.assemble.traffic import read_recorded

    settings = settings_from(data=data)
    recorded = read_recorded(detector, file)
    with open_engine(load_detector(detector), settings, wait_for_models=True) as engine, progress("loading") as advance:
        loaded = load_history(engine, recorded, progress=advance)
    say(
        f"{loaded:,} events in the state of {detector} in {settings.data}"
        + (f"; {len(recorded.refused):,} refused" if len(recorded.refused) else "")
    )
