"""`penstock train`: from recorded events to models that have been measured."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, detector_argument, print_json, progress, say, settings, settings_from

if TYPE_CHECKING:
    from penstock.offline.train import Report

INSTANTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
instant = click.DateTime(INSTANTS)


@click.command()
@detector_argument
@click.option("--data", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Recorded events with labels.")
@click.option("--train-from", type=instant, metavar="T", help="First event time of the training (UTC).")
@click.option("--valid-from", type=instant, metavar="T", help="First of the validation; training ends the label delay before.")
@click.option("--test-from", type=instant, metavar="T", help="First of the test; validation ends the label delay before.")
@click.option("--test-to", type=instant, metavar="T", help="Last event time of the test.")
@click.option("--model", "names", multiple=True, metavar="NAME", help="Only these of the declared models.")
@click.option("--save", is_flag=True, help="Keep the result as a bundle; the first one becomes the champion, which decides.")
@click.option("--promote", is_flag=True, help="Let the result decide even where there is a champion (implies --save).")
@settings("models")
@as_json
def command(
    detector: str,
    data: Path,
    names: tuple[str, ...],
    save: bool,
    promote: bool,
    as_json: bool,
    models: str | None,
    **times: datetime | None,
) -> None:
    """Train on recorded events, and measure on later ones.

    The events (.csv, .parquet or .ndjson) are replayed with labels that become known late, and split by time;
    models are fitted, calibrated and measured. Times that are omitted are derived from the data and printed.
    """
    from penstock.assemble.detectors import load_detector
    from penstock.offline.train import train

    chosen = settings_from(models=models)
    loaded = load_detector(detector)
    with progress("training") as advance:
        report = train(
            loaded,
            data,
            train_from=utc(times["train_from"]),
            valid_from=utc(times["valid_from"]),
            test_from=utc(times["test_from"]),
            test_to=utc(times["test_to"]),
            models=names or None,
            save_to=chosen.models_folder if save or promote else None,
            make_champion=promote,
            progress=lambda _what, share: advance(share),
        )
    if as_json:
        for note in report.notes:
            say(f"note: {note}")
        print_json(report.as_json())
    else:
        show(report)


def utc(time: datetime | None) -> datetime | None:
    """The time, in UTC as the command line means it."""
    return None if time is None else time.replace(tzinfo=UTC)


def show(report: "Report") -> None:
    """The report, for people."""
    for line, (name, rows) in zip(report.periods.lines(), report.rows.items(), strict=True):
        frauds = report.fraud[name]
        late = f", {report.unknown[name]:,} not known in time" if report.unknown[name] else ""
        click.echo(f"{line}  {rows:>10,} events, {frauds:,} frauds ({frauds / max(rows, 1):.2%}){late}")
    click.echo(f"\n{'on the test':<22}" + "".join(f"{name:>14}" for name in _SHOWN.values()))
    for name, figures in {**report.members, "ensemble": report.test}.items():
        click.echo(f"{name:<22}" + "".join(f"{_figure(figures[key]):>14}" for key in _SHOWN))
    for note in report.notes:
        click.echo(f"note: {note}")
    if report.saved_to is not None:
        decides = (
            "it decides"
            if report.champion == report.model_version
            else f"{report.champion} still decides; --promote changes that"
        )
        click.echo(f"\nsaved as {report.saved_to} ({decides})")


_SHOWN = {
    "roc_auc": "ROC AUC",
    "average_precision": "avg precision",
    "recall_at_fpr_0.001": "recall@0.1%",
    "recall_at_fpr_0.01": "recall@1%",
    "card_precision_at_100": "card prec@100",
    "brier": "Brier",
    "ece": "ECE",
}


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
