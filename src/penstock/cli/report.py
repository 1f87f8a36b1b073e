"""`penstock report`: pages for people about what was found."""

from pathlib import Path
from typing import Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, progress, say
from penstock.cli.training import data_option, options_from, training_options, write_page


@click.group()
def command() -> None:
    """Reports as pages that need nothing but a browser."""


@command.command()
@detector_argument
@data_option
@training_options
@click.option("--no-treatments", is_flag=True, help="Leave out what treatments of the imbalance do: five trainings a model.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The page.  [DETECTOR-training.html]")
@as_json
def train(detector: str, data: str, no_treatments: bool, out: Path | None, as_json: bool, **wishes: Any) -> None:
    """Train without keeping anything, and write a page about it.

    Data, split, every figure with its interval, curves, calibration, the money that thresholds save, importance, what
    members and treatments of the imbalance did, and the most costly mistakes. With --json, the same as JSON.
    """
    from penstock.assemble.detectors import load_detector
    from penstock.assemble.traffic import read_recorded
    from penstock.offline.train import run

    options = options_from(wishes, treatments=not no_treatments)
    loaded = load_detector(detector)
    recorded = read_recorded(detector, data)
    with progress("training") as advance:
        trained = run(loaded, recorded, options, progress=lambda _what, share: advance(share))
    path = out or Path(f"{loaded.name}-training.html")
    findings = write_page(loaded, trained, recorded, path)
    if as_json:
        print_json(findings.as_json())
    say(f"written: {path}")
