"""`penstock train`: from recorded events to models that have been measured."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, progress, say, settings, settings_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.offline.thresholds import Choice
    from penstock.offline.train import Report
    from penstock.offline.trained import Figures

INSTANTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
TREATMENTS = ["none", "weights", "smote", "smoteenn", "under"]
instant = click.DateTime(INSTANTS)


@click.command()
@detector_argument
@click.option("--data", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Recorded events with labels.")
@click.option("--train-from", type=instant, metavar="T", help="First event time of the training (UTC).")
@click.option("--valid-from", type=instant, metavar="T", help="First of the validation; training ends the label delay before.")
@click.option("--test-from", type=instant, metavar="T", help="First of the test; validation ends the label delay before.")
@click.option("--test-to", type=instant, metavar="T", help="Last event time of the test.")
@click.option(
    "--folds", type=click.IntRange(2, 50), metavar="N", help="Instead: N prequential folds, each later than the last."
)
@click.option("--model", "names", multiple=True, metavar="NAME", help="Only these declared models, or kinds of models.")
@click.option("--imbalance", type=click.Choice(TREATMENTS), help="A treatment for models that declare none.")
@click.option("--compare-imbalance", is_flag=True, help="Also report what every treatment does to every model.")
@click.option("--trials", type=click.IntRange(0), metavar="N", help="Tune each model with N trials on the validation.")
@click.option("--thresholds", "by", type=click.Choice(["fpr", "capacity", "cost"]), default="fpr", help="Choose thresholds by.")
@click.option("--review-fpr", type=float, metavar="SHARE", help="fpr: of the good ones to review at most.  [0.01]")
@click.option("--reviews-per-day", type=float, metavar="N", help="capacity: how many people can review.")
@click.option("--review-cost", type=float, metavar="AMOUNT", help="cost: of one review.  [5]")
@click.option("--annoyance-cost", type=float, metavar="AMOUNT", help="cost: of blocking a good customer.  [25]")
@click.option("--block-precision", type=float, metavar="SHARE", help="fpr, capacity: of fraud among the blocked.  [0.9]")
@click.option("--seed", type=int, default=0, metavar="N", help="Of everything that draws at random.  [0]")
@click.option("--save", is_flag=True, help="Keep the result as a bundle; the first one becomes the champion, which decides.")
@click.option("--promote", is_flag=True, help="Let the result decide even where there is a champion (implies --save).")
@settings("models")
@as_json
def command(
    detector: str,
    data: Path,
    names: tuple[str, ...],
    folds: int | None,
    imbalance: str | None,
    compare_imbalance: bool,
    trials: int | None,
    by: str,
    seed: int,
    save: bool,
    promote: bool,
    as_json: bool,
    models: str | None,
    **wishes: Any,
) -> None:
    """Train on recorded events, and measure on later ones.

    The events (.csv, .parquet or .ndjson) are replayed with labels that become known late, and split by time;
    models are tuned, fitted, calibrated, weighed and measured. Times that are omitted are derived from the data and printed.
    """
    from penstock.assemble.detectors import load_detector
    from penstock.offline.train import Options, keep, run

    chosen = settings_from(models=models)
    options = Options(
        **{name: utc(wishes[name]) for name in ("train_from", "valid_from", "test_from", "test_to")},
        folds=folds or 0,
        models=names,
        imbalance=imbalance,
        trials=trials,
        choice=choice(by, wishes),
        treatments=compare_imbalance,
        seed=seed,
    )
    loaded = load_detector(detector)
    with progress("training") as advance:
        trained = run(loaded, data, options, progress=lambda _what, share: advance(share))
    if save or promote:
        trained = keep(loaded, trained, chosen.models_folder, make_champion=promote)
    if as_json:
        for note in trained.report.notes:
            say(f"note: {note}")
        print_json(trained.report.as_json())
    else:
        show(trained.report)


def choice(by: str, wishes: dict[str, Any]) -> "Choice":
    """How thresholds are to be chosen.

    Raises:
        UsageError: an option that belongs to another way of choosing, or a capacity without a number.
    """
    from penstock.offline.thresholds import ByCapacity, ByCost, ByRate

    kinds: dict[str, tuple[Any, dict[str, str]]] = {
        "fpr": (ByRate, {"review_fpr": "review_fpr", "block_precision": "block_precision"}),
        "capacity": (ByCapacity, {"reviews_per_day": "reviews_per_day", "block_precision": "block_precision"}),
        "cost": (ByCost, {"review_cost": "review", "annoyance_cost": "annoyance"}),
    }
    kind, fields = kinds[by]
    every = {option for _, each in kinds.values() for option in each}
    for option in sorted(every - set(fields)):
        if wishes[option] is not None:
            raise click.UsageError(f"--{option.replace('_', '-')} says nothing about thresholds by {by}; leave it out")
    if by == "capacity" and wishes["reviews_per_day"] is None:
        raise click.UsageError("--thresholds capacity needs --reviews-per-day N: how many people can review")
    made: Choice = kind(**{name: wishes[option] for option, name in fields.items() if wishes[option] is not None})
    return made


def utc(time: datetime | None) -> datetime | None:
    """The time, in UTC as the command line means it."""
    return None if time is None else time.replace(tzinfo=UTC)


def show(report: "Report") -> None:
    """The report, for people."""
    for line, (name, rows) in zip(report.periods.lines(), report.rows.items(), strict=True):
        if not rows:
            click.echo(line)
            continue
        frauds = report.fraud[name]
        late = f", {report.unknown[name]:,} not known in time" if report.unknown[name] else ""
        click.echo(f"{line}  {rows:>10,} events, {frauds:,} frauds ({frauds / max(rows, 1):.2%}){late}")
    table("on the test", {**report.members, "ensemble": report.test})
    if report.folds:
        table("fold, tested from", {fold["periods"]["test"][0][:10]: fold["test"] for fold in report.folds})
    if report.apart is not None:
        show_apart(report.apart)
    for name, treatments in report.treatments.items():
        table(f"{name} with", treatments)
    show_thresholds(report)
    for note in report.notes:
        click.echo(f"note: {note}")
    if report.saved_to is not None:
        decides = (
            "it decides"
            if report.champion == report.model_version
            else f"{report.champion} still decides; --promote changes that"
        )
        click.echo(f"\nsaved as {report.saved_to} ({decides})")


def table(title: str, rows: "Mapping[str, Figures]") -> None:
    """A line of figures for each name."""
    click.echo(f"\n{title:<22}" + "".join(f"{name:>14}" for name in _SHOWN.values()))
    for name, figures in rows.items():
        click.echo(f"{name:<22}" + "".join(f"{_figure(figures[key]):>14}" for key in _SHOWN))


def show_apart(apart: dict[str, Any]) -> None:
    """What the events that the recipe sets apart do to every figure."""
    click.echo(
        f"\n{apart['name']} (before {apart['before'][:10]}): {apart['rows']:,} of the training events, "
        f"{apart['frauds']:,} of their {apart['frauds_in_training']:,} frauds"
    )
    rows = {
        f"{title}, {how}": apart[key][how]
        for key, title in (("hold_out", "hold-out"), ("cross_validation", "folds"), ("shuffled", "shuffled"))
        for how in ("with", "without")
    }
    table("trained", {name: figures for name, figures in rows.items() if figures is not None})
    click.echo("(shuffled is no estimate: the same episode stands on both sides of such a split)")


def show_thresholds(report: "Report") -> None:
    """The thresholds in force and what they come to on the test."""
    decided = report.decided
    click.echo(
        f"\nreview from {report.in_force['review_at']:.4g}, block from {report.in_force['block_at']:.4g} (score), on the test: "
        f"{_share(decided['recall'])} of frauds and {_share(decided['value_detection_rate'])} of their value stopped, "
        f"{_share(decided['false_positive_rate'])} of good ones, {_figure(decided['reviews_per_day'], 1)} reviews a day"
    )


_SHOWN = {
    "roc_auc": "ROC AUC",
    "average_precision": "avg precision",
    "recall_at_fpr_0.001": "recall@0.1%",
    "recall_at_fpr_0.01": "recall@1%",
    "recall_at_fpr_0.05": "recall@5%",
    "card_precision_at_100": "card prec@100",
    "brier": "Brier",
    "ece": "ECE",
}


def _figure(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
