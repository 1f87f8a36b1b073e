"""Options and output that the training commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock.cli.options import instant

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.detector import Detector
    from penstock.offline.datasets import Recorded
    from penstock.offline.options import Options
    from penstock.offline.report import Findings
    from penstock.offline.thresholds import Choice
    from penstock.offline.trained import Trained

F = TypeVar("F", bound=Callable[..., Any])

TIMES = ("train_from", "valid_from", "test_from", "test_to")
TREATMENTS = ["none", "weights", "smote", "smoteenn", "under"]

file_option = click.option(
    "--data", required=True, type=click.Path(path_type=Path), metavar="FILE", help="Recorded events with labels."
)
data_option = click.option(
    "--data",
    required=True,
    metavar="FILE",
    help="Recorded events with labels: a file, or an archive: its folder or s3://BUCKET/PREFIX?endpoint=URL.",
)

_OPTIONS = [
    click.option("--train-from", type=instant, metavar="T", help="First event time of the training (UTC)."),
    click.option(
        "--valid-from", type=instant, metavar="T", help="First of the validation; training ends the label delay before."
    ),
    click.option("--test-from", type=instant, metavar="T", help="First of the test; validation ends the label delay before."),
    click.option("--test-to", type=instant, metavar="T", help="Last event time of the test."),
    click.option(
        "--folds", type=click.IntRange(2, 50), metavar="N", help="Instead: N prequential folds, each later than the last."
    ),
    click.option("--model", "names", multiple=True, metavar="NAME", help="Only these declared models, or kinds of models."),
    click.option("--imbalance", type=click.Choice(TREATMENTS), help="A treatment for models that declare none."),
    click.option("--trials", type=click.IntRange(0), metavar="N", help="Tune each model with N trials on the validation."),
    click.option(
        "--minutes",
        type=click.FloatRange(0, min_open=True),
        metavar="M",
        help="Begin no trial after M minutes, for all models together.",
    ),
    click.option("--segments", metavar="NAMES", help="Figures of the test by these columns, as in country,age_band."),
    click.option(
        "--segments-from",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The file with these columns, by id or entity key; models never see it.  [the recorded data]",
    ),
    click.option("--drop-useless", is_flag=True, help="Drop inputs that add no more than noise on the validation."),
    click.option("--no-refit", is_flag=True, help="Serve the measured models, not their refit on all labelled history."),
    click.option(
        "--thresholds", "by", type=click.Choice(["fpr", "capacity", "cost"]), default="fpr", help="Choose thresholds by."
    ),
    click.option("--review-fpr", type=float, metavar="SHARE", help="fpr: of the good ones to review at most.  [0.01]"),
    click.option("--reviews-per-day", type=float, metavar="N", help="capacity: how many people can review."),
    click.option("--review-cost", type=float, metavar="AMOUNT", help="cost: of one review.  [5]"),
    click.option("--annoyance-cost", type=float, metavar="AMOUNT", help="cost: of blocking a good customer.  [25]"),
    click.option("--block-precision", type=float, metavar="SHARE", help="fpr, capacity: of fraud among the blocked.  [0.9]"),
    click.option(
        "--accept-input",
        "accept_inputs",
        multiple=True,
        metavar="NAME",
        help="An input that is known in time though it alone separates fraud from good; else the result decides nothing.",
    ),
    click.option("--seed", type=int, default=0, metavar="N", help="Of everything that draws at random.  [0]"),
]


def training_options(function: F) -> F:
    """Add the options; `options_from` reads their values."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def options_from(wishes: dict[str, Any], chosen: "Settings", *, treatments: bool = False, search: bool = False) -> "Options":
    """The options of a training. search: tune where neither trials nor minutes are given, and name useless inputs.

    Raises:
        UsageError: contradictory options.
        MissingExtra: what trains is not installed.
    """
    from penstock.extras import require_training
    from penstock.offline.options import Options

    require_training()
    return Options(
        **{name: wishes[name] for name in TIMES},
        folds=wishes["folds"] or 0,
        models=wishes["names"],
        imbalance=wishes["imbalance"],
        trials=wishes["trials"],
        minutes=wishes["minutes"],
        search=search,
        refit=not wishes["no_refit"],
        useless="drop" if wishes["drop_useless"] else "name" if search else "ignore",
        segments=[name.strip() for name in (wishes["segments"] or "").split(",") if name.strip()],
        segments_from=wishes["segments_from"],
        choice=choice(wishes["by"], wishes),
        treatments=treatments,
        seed=wishes["seed"],
        max_refused=chosen.max_refused,
        accept_inputs=wishes["accept_inputs"],
    )


def choice(by: str, wishes: dict[str, Any]) -> "Choice":
    """The method of choosing thresholds.

    Raises:
        UsageError: an option that belongs to another method, or a capacity without a number.
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


# ---------------------------------------------------------------- output of a training


def write_page(detector: "Detector", trained: "Trained", data: "Recorded", path: Path) -> "Findings":
    """Write the report's page into a file, and return its content."""
    from penstock.offline.report import investigate, page

    findings = investigate(detector, trained, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(findings), encoding="utf-8")
    return findings


def pictures_for(detector: "Detector", data: "Path | Recorded") -> "Callable[[Trained], dict[str, str]]":
    """The function that draws the page and its figures, for a registry that stores them with a version."""

    def made(trained: "Trained") -> dict[str, str]:
        from penstock.offline.report import investigate, page, plots

        findings = investigate(detector, trained, data)
        pictures = plots(findings)
        return {"report.html": page(findings, pictures), **{f"plots/{name}.svg": svg for name, svg in pictures.items()}}

    return made
