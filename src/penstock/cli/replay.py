"""`penstock replay`: a recorded file through a detector."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, say, settings, settings_from

if TYPE_CHECKING:
    import polars as pl

    from penstock.detector import Detector
    from penstock.offline.datasets import Recorded


@click.command()
@detector_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write one row per event: .parquet, .csv, .ndjson.",
)
@settings("models")
@as_json
def command(detector: str, file: Path, out: Path | None, as_json: bool, models: str | None) -> None:
    """Decide a recorded file in arrival order, with each label known when it really was, and sum up.

    Without --models rules alone decide.
    """
    from penstock import assemble
    from penstock.offline.replay import replay

    loaded = assemble.load_detector(detector)
    recorded = assemble.read_recorded(detector, file)
    began = time.perf_counter()
    frame = replay(loaded, recorded, models=settings_from(models=models).models_folder if models else None)
    seconds = time.perf_counter() - began
    if out is not None:
        assemble.write_frame(frame, out)
        say(f"{len(frame):,} rows in {out}")
    found = summary(loaded, recorded, frame, seconds)
    if as_json:
        print_json(found)
    else:
        show(found)


def summary(detector: "Detector", recorded: "Recorded", frame: "pl.DataFrame", seconds: float) -> dict[str, Any]:
    """What became of the file: decisions, speed, what was refused, and what they are worth where there are labels."""
    from penstock import assemble

    counts = dict(frame["decision"].value_counts().iter_rows())
    refused = dict(recorded.refused["message"].value_counts(sort=True).head(10).iter_rows())
    return {
        "detector": detector.name,
        "events": len(frame),
        "seconds": round(seconds, 3),
        "events_per_s": round(len(frame) / seconds) if seconds else None,
        "latency_us": round(1e6 * seconds / len(frame), 2) if len(frame) else None,
        "decisions": counts,
        "refused": len(recorded.refused),
        "causes": refused,
        "metrics": assemble.measured_decisions(detector, recorded, frame),
    }


def show(found: dict[str, Any]) -> None:
    """The summary, for people."""
    click.echo(f"{found['events']:,} events in {found['seconds']:.1f} s ({found['events_per_s'] or 0:,} a second)")
    for decision, count in sorted(found["decisions"].items(), key=lambda pair: -pair[1]):
        click.echo(f"  {decision:<10} {count:>12,}  {count / max(found['events'], 1):8.3%}")
    if found["refused"]:
        click.echo(f"refused {found['refused']:,} rows, the most frequent causes:")
        for cause, count in found["causes"].items():
            click.echo(f"  {count:>10,}  {cause}")
    for what, figures in found["metrics"].items():
        click.echo(f"{what}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items() if value is not None))
