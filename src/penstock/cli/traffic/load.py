"""`penstock load`: warms the state from history."""

import click

from penstock.cli.options import detector_argument, progress, read_events, say, settings, settings_from


@click.command()
@detector_argument
@click.argument("file")
@settings("data", "ledger", "max_refused")
def command(detector: str, file: str, **flags: str | None) -> None:
    """Warm the state from recorded events: a file, or an archive.

    It makes no decisions, alerts or cases.
    """
    from penstock.features.compiled.background import speed_up
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.engines import load_history, open_engine

    settings = settings_from(**flags)
    recorded = read_events(detector, file, settings)
    with (
        open_engine(load_detector(detector), settings, wait_for_models=True) as engine,
        speed_up(engine.pipeline.state, len(recorded.frame)),
        progress("loading") as advance,
    ):
        loaded = load_history(engine, recorded, progress=advance)
    say(f"{loaded:,} events in the state of {detector} in {settings.data}")
