"""`penstock train`: trains and evaluates models on recorded events."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.options import as_json, detector_argument, print_json, progress, read_events, say, settings, settings_from
from penstock.cli.training.training_options import data_option, options_from, pictures_for, training_options, write_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.detector import Detector
    from penstock.offline.datasets import Recorded
    from penstock.offline.options import Options
    from penstock.offline.train import TrainingReport
    from penstock.offline.trained import Figures


@click.command()
@detector_argument
@data_option
@training_options
@click.option("--compare-imbalance", is_flag=True, help="Also report what every treatment does to every model.")
@click.option("--save", is_flag=True, help="Keep the result as a bundle; the first one becomes the champion, which decides.")
@click.option("--promote", is_flag=True, help="Let the result decide even where there is a champion (implies --save).")
@click.option(
    "--features",
    "reads",
    type=click.Choice(["declared", "all", "auto"]),
    default="declared",
    help="Models read the detector's inputs; all: run-time features, too; auto: what a search suggests.  [declared]",
)
@click.option("--suggest-minutes", type=float, default=20.0, metavar="N", help="auto: time for the search.  [20]")
@click.option("--report", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write the report as a page, too.")
@settings("models", "registry", "max_refused")
@as_json
def command(
    detector: str,
    data: str,
    compare_imbalance: bool,
    save: bool,
    promote: bool,
    reads: str,
    suggest_minutes: float,
    page: Path | None,
    as_json: bool,
    models: str | None,
    registry: str | None,
    max_refused: str | None,
    **wishes: Any,
) -> None:
    """Train on recorded events, and measure on later ones.

    The events (.csv, .parquet or .ndjson, or what a service archived) are replayed with labels that become known late, and
    split by time; models are tuned, fitted, calibrated, weighed and measured. Times that are omitted are derived from the
    data and printed. Without --trials and --minutes, each model is tuned with 20 trials, for 10 minutes in all; the same
    number of trials gives the same models. What is saved is fitted again on all labelled history.
    """
    from penstock.offline.registry import register
    from penstock.offline.train import run
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.governance import with_stored_features
    from penstock.wiring.registries import open_registry

    if reads == "auto" and (save or promote):
        raise click.UsageError(
            "--features auto measures only: a bundle reads features that the detector must have. Add them first, with"
            " `penstock features suggest --out FILE` to its file or with --draft to the running detector"
        )
    chosen = settings_from(models=models, registry=registry, max_refused=max_refused)
    options = options_from(wishes, chosen, treatments=compare_imbalance, search=True)
    loaded = with_stored_features(load_detector(detector), chosen)
    opened = open_registry(chosen) if save or promote else None
    if opened is not None:
        opened.alias(loaded.name, "champion")  # an unreachable registry is better detected before the training
    recorded = read_events(detector, data, chosen)
    loaded, options = _reading(loaded, reads, recorded, options, suggest_minutes)
    with progress("training") as advance:
        trained = run(loaded, recorded, options, progress=lambda _what, share: advance(share))
    if opened is not None:
        pictured = pictures_for(loaded, recorded) if chosen.registry == "mlflow" else None
        trained = register(opened, loaded, trained, make_champion=promote, attached=pictured)
    if page is not None:
        write_page(loaded, trained, recorded, page)
    for leak in trained.report.leaks:
        say(f"warning: {leak.text}")
    if as_json:
        for note in trained.report.notes:
            say(f"note: {note}")
        print_json(trained.report.as_json())
    else:
        show(trained.report)


def _reading(
    detector: "Detector", reads: str, recorded: "Recorded", options: "Options", minutes: float
) -> "tuple[Detector, Options]":
    """The detector whose models read what --features says, and the options under which they may."""
    if reads == "all":
        made = [each.name for each in detector.added if detector.plan.layout[each.name].type.value != "text"]
        return detector.with_inputs(tuple(dict.fromkeys([*detector.plan.inputs, *made]))), options
    if reads == "declared":
        return detector, options
    from dataclasses import replace

    from penstock.cli.changes.suggest import show as show_suggested
    from penstock.offline.suggest import SearchLimits, suggest

    with progress("searching") as advance:
        found = suggest(
            detector,
            recorded,
            split=options,
            accepted=options.accept_inputs,
            limits=SearchLimits(minutes=minutes),
            seed=options.seed,
            measured=False,
            progress=lambda _what, share: advance(share),
        )
    show_suggested(found)
    return found.applied(detector), replace(options, accept_inputs=(*options.accept_inputs, *found.known_in_time))


def show(report: "TrainingReport") -> None:
    """Print the report."""
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
    for name, groups in report.segments.items():
        show_segments(name, groups)
    for note in report.notes:
        click.echo(f"note: {note}")
    if report.saved_to is not None:
        decides = (
            "it decides"
            if report.champion == report.model_version
            else f"it does not decide before somebody confirms {', '.join(report.unconfirmed)}: --accept-input"
            if report.unconfirmed
            else f"{report.champion} still decides; --promote changes that"
        )
        click.echo(f"\nsaved as {report.saved_to} ({decides})")


def table(title: str, rows: "Mapping[str, Figures]") -> None:
    """A line of figures for each name."""
    click.echo(f"\n{title:<22}" + "".join(f"{name:>14}" for name in _SHOWN.values()))
    for name, figures in rows.items():
        click.echo(f"{name:<22}" + "".join(f"{_figure(figures[key]):>14}" for key in _SHOWN))


def show_apart(apart: dict[str, Any]) -> None:
    """The effect on every figure of events that the recipe sets apart."""
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


def show_segments(name: str, groups: dict[str, Any]) -> None:
    """The false positives, recall and disparity of every group of customers."""
    click.echo(f"\n{name:<22}{'events':>12}{'frauds':>10}{'good stopped':>14}{'recall':>10}  times that of all others")
    for value, each in groups.items():
        apart = each["disparity"]
        said = "-" if apart is None else f"{apart['ratio']:.2f} ({apart['low']:.2f} to {apart['high']:.2f})"
        rates = _share(each["false_positive_rate"]["value"]), _share(each["recall"]["value"])
        click.echo(f"{value[:21]:<22}{each['rows']:>12,}{each['frauds']:>10,}{rates[0]:>14}{rates[1]:>10}  {said}")


def show_thresholds(report: "TrainingReport") -> None:
    """The thresholds in force and their effect on the test data."""
    from penstock.outcomes import said

    decided = report.decided
    click.echo(
        f"\nreview from {report.in_force['review_at']:.4g}, block from {report.in_force['block_at']:.4g} (score), on the test: "
        f"{_share(decided['value_detection_rate'])} of the frauds' value stopped, "
        f"{_figure(decided['reviews_per_day'], 1)} reviews a day"
    )
    for name, rate in report.decided_rates.items():
        click.echo(f"  {name.replace('_', ' ')}: {said(rate)}")


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
