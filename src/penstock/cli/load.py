"""`penstock load`: state from history."""

from pathlib import Path

import click

from penstock.cli.options import detector_argument, progress, say, settings, settings_from


@click.command()
@detector_argument
@click.argument("file", type=click.Path(path_type=Path))
@settings("data")
def command(detector: str, file: Path, data: str | None) -> None:
    """Warm the state from recorded events: no decisions, alerts or cases come of it."""
    from penstock import assemble

    settings = settings_from(data=data)
    recorded = assemble.read_recorded(detector, file)
    with progress("loading") as advance:
        loaded = assemble.load_history(assemble.load_detector(detector), recorded, settings, progress=advance)
    say(
        f"{loaded:,} events in the state of {detector} in {settings.data}"
        + (f"; {len(recorded.refused):,} refused" if len(recorded.refused) else "")
    )
