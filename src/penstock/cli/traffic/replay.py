"""`penstock replay`: runs a recorded file through a detector."""

import time
from pathlib import Path
from typing import Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, read_events, say, settings, settings_from


@click.command()
@detector_argument
@click.argument("file")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write one row per event: .parquet, .csv, .ndjson.",
)
@settings("models", "data", "office", "max_refused")
@as_json
def command(detector: str, file: str, out: Path | None, as_json: bool, models: str | None, **flags: str | None) -> None:
    """Decide a recorded file, and summarize the decisions.

    Events come in arrival order, each label is known from when it really was. Rules alone decide, unless --models names a
    folder whose champion decides, too. FILE may also be an archive: its folder, or s3://BUCKET/PREFIX?endpoint=URL. Features
    and lists come from the office of --data or --office, if there is one; each event reads the lists as of its arrival.
    """
    from penstock.offline.outcome import outcome
    from penstock.offline.replay import placed
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import key_kept, with_stored_features_and_lists
    from penstock.wiring.traffic.events import write_frame

    chosen = settings_from(models=models, **flags)
    loaded = with_stored_features_and_lists(load_detector(detector), chosen)
    recorded = read_events(detector, file, chosen)
    began = time.perf_counter()
    folder = chosen.models_folder if models else None
    if folder is None and (chosen.models_folder / loaded.name / "champion").is_file():
        say(f"rules alone decide; --models {chosen.models_folder} has the champion there decide, too")
    frame, rows = placed(loaded, recorded, models=folder, personal_key=key_kept(loaded, chosen))
    seconds = time.perf_counter() - began
    if out is not None:
        write_frame(frame, out)
        say(f"{len(frame):,} rows in {out}")
    found = outcome(loaded, recorded, frame, rows, seconds)
    if as_json:
        print_json(found)
    else:
        show(found)


def show(found: dict[str, Any]) -> None:
    """Print the summary."""
    click.echo(f"{found['events']:,} events in {found['seconds']:.1f} s ({found['events_per_s'] or 0:,} a second)")
    for decision, count in sorted(found["decisions"].items(), key=lambda pair: -pair[1]):
        click.echo(f"  {decision:<10} {count:>12,}  {count / max(found['events'], 1):8.3%}")
    if found["refused"]:
        click.echo(f"refused {found['refused']:,} rows, the most frequent causes:")
        for cause, count in found["causes"].items():
            click.echo(f"  {count:>10,}  {cause}")
    if found["repeats"]:
        click.echo(found["repeats"])
    for what, figures in found["worth"].items():
        click.echo(f"{what}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items() if value is not None))
