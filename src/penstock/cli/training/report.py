"""`penstock report`: reports of trainings and days as HTML pages."""

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import (
    as_json,
    detector_argument,
    instant,
    print_json,
    progress,
    read_events,
    say,
    settings,
    settings_from,
)
from penstock.cli.training.training_options import data_option, options_from, training_options, write_page

if TYPE_CHECKING:
    from penstock.offline.daily import By


def day(text: str) -> date:
    """The option type of days."""
    from penstock.clock import from_us, system_clock

    if text not in ("today", "yesterday"):
        return instant(text).date()
    today = from_us(system_clock()).date()
    return today if text == "today" else today - timedelta(days=1)


@click.group()
def command() -> None:
    """Reports as self-contained pages."""


@command.command()
@detector_argument
@data_option
@training_options
@click.option("--no-treatments", is_flag=True, help="Leave out what treatments of the imbalance do: five trainings a model.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The page.  [DETECTOR-training.html]")
@settings("max_refused")
@as_json
def train(
    detector: str, data: str, no_treatments: bool, out: Path | None, max_refused: str | None, as_json: bool, **wishes: Any
) -> None:
    """Train without keeping the models, and write a report page.

    Data, split, every figure with its interval, curves, calibration, the money that thresholds save, importance, the
    effect of members and of treatments of the imbalance, and the most costly mistakes. With --json, the same as JSON.
    """
    from penstock.offline.train import run
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_features

    chosen = settings_from(max_refused=max_refused)
    options = options_from(wishes, chosen, treatments=not no_treatments)
    loaded = with_stored_features(load_detector(detector), chosen)
    recorded = read_events(detector, data, chosen)
    with progress("training") as advance:
        trained = run(loaded, recorded, options, progress=lambda _what, share: advance(share))
    for leak in trained.report.leaks:
        say(f"warning: {leak.text}")
    path = out or Path(f"{loaded.name}-training.html")
    findings = write_page(loaded, trained, recorded, path)
    if as_json:
        print_json(findings.as_json())
    say(f"written: {path}")


@command.command()
@click.argument("detector", required=False, metavar="[DETECTOR]")
@click.option("--date", type=day, metavar="YYYY-MM-DD", help="The day, UTC, or today or yesterday.  [the newest that is over]")
@click.option(
    "--by",
    type=click.Choice(["decided", "event"]),
    default="decided",
    help="Count a decision on the day it was made, or on the day of its event.  [decided]",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where the files go.  [DATA/reports]"
)
@settings("data", "ledger", "ledger_log")
@as_json
def daily(detector: str | None, date: date | None, by: "By", out: Path | None, as_json: bool, **flags: str | None) -> None:
    """The report of a day: counts and money, frauds caught and missed, reasons, latency, compared with the week before.

    Of one detector, or of all in the data folder, also while a service is running. Writes daily-DETECTOR-DATE.json, .csv
    and .html, a self-contained page. With --json, the same on standard output, and files only with --out.
    """
    from penstock.wiring.reports.daily import daily_reports, write_reports

    chosen = settings_from(**flags)
    reports = daily_reports(chosen, detector, date, by=by)
    if as_json:
        print_json({"reports": [report.as_json() for report in reports.values()]})
    if out is not None or not as_json:
        for path in write_reports(reports, out or chosen.data / "reports"):
            say(f"written: {path}")
    if not as_json:
        for report in reports.values():
            for note in report.notes:
                say(f"note: {report.detector}: {note}")
