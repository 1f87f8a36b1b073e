"""Options of a training run, and their resolution to models and a time split."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from penstock.detector import Detector, Recipe
from penstock.errors import ConfigurationError, did_you_mean
from penstock.models import Model
from penstock.models.kinds import kinds
from penstock.offline.datasets import MOST_REFUSED
from penstock.offline.periods import CountSplit, Periods, Split
from penstock.offline.rows import Rows
from penstock.offline.thresholds import ByRate, Choice

DEFAULT_TRIALS, DEFAULT_MINUTES = 20, 10.0
"""Of the search that `penstock train` makes by itself: the number of trials for each model, and the time for all of them."""

MOST_TRIALS = 1000
"""Of a search that time alone bounds."""

FEWEST_FRAUDS = 50
"""With fewer on the validation, `penstock train` does not search by itself."""


class Budget(NamedTuple):
    """Of a search: trials for each model, and seconds for all of them."""

    trials: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a training; by default the detector's recipe or a split by time.

    train_from, valid_from, test_from, test_to: instants of the split, in event time. folds: prequential folds instead of
    one split. models: names of declared models, or of kinds of models. imbalance: a treatment for models that declare
    none. trials: of the tuning, for each model. minutes: of the tuning, for all models together. search: tune within
    `DEFAULT_TRIALS` and `DEFAULT_MINUTES` where neither is given. refit: fit what is served again on all labelled history.
    useless: whether inputs that add no more than noise are looked for, and dropped. segments: columns that divide the test
    into groups with figures of their own, segments_from: the file or frame that holds them. choice: how thresholds are
    chosen. treatments: compare what every treatment of imbalance does to every model. seed: of everything that draws at
    random. max_refused: share of the data's rows that may be no events. accept_inputs: inputs that are known in time though
    each alone separates the classes.
    """

    train_from: datetime | None = None
    valid_from: datetime | None = None
    test_from: datetime | None = None
    test_to: datetime | None = None
    folds: int = 0
    models: Sequence[str] = ()
    imbalance: str | None = None
    trials: int | None = None
    minutes: float | None = None
    search: bool = False
    refit: bool = True
    useless: Literal["ignore", "name", "drop"] = "ignore"
    segments: Sequence[str] = ()
    segments_from: Any = None
    choice: Choice = field(default_factory=ByRate)
    treatments: bool = False
    seed: int = 0
    max_refused: float = MOST_REFUSED
    accept_inputs: Sequence[str] = ()

    @property
    def times(self) -> dict[str, datetime]:
        """The instants that were given."""
        named = {name: getattr(self, name) for name in ("train_from", "valid_from", "test_from", "test_to")}
        return {name: time for name, time in named.items() if time is not None}

    def recipe(self, detector: Detector) -> Recipe | None:
        """The detector's recipe, unless times or folds are given."""
        return None if self.times or self.folds else detector.training

    def budget(self, detector: Detector, frauds: int) -> Budget:
        """How long models are tuned. frauds: of the rows that models are tuned on; few of them are no ground for a choice
        that nobody asked for.
        """
        recipe = self.recipe(detector)
        if self.trials is not None or self.minutes is not None:
            trials = self.trials if self.trials is not None else MOST_TRIALS
            return Budget(trials, math.inf if self.minutes is None else 60 * self.minutes)
        if recipe and recipe.trials:
            return Budget(recipe.trials, math.inf)
        searched = self.search and frauds >= FEWEST_FRAUDS
        return Budget(DEFAULT_TRIALS if searched else 0, 60 * DEFAULT_MINUTES)


def chosen_models(detector: Detector, options: Options) -> list[Model]:
    """The declared models, or those named: a kind that is not declared comes with its defaults.

    Raises:
        ConfigurationError: nothing is declared, or a name is neither a declared model's nor a kind's.
    """
    declared = {model.name: model for model in detector.models}
    if not declared:
        raise ConfigurationError(
            f"detector {detector.name!r} declares no models: it decides by rules alone, there is nothing to train"
        )
    chosen = [declared.get(name) or _kind(detector, name, list(declared)) for name in options.models or declared]
    recipe = options.recipe(detector)
    treatment = options.imbalance or (recipe.imbalance if recipe else "none")
    return [treated(model, treatment) for model in chosen]


def _kind(detector: Detector, name: str, declared: Sequence[str]) -> Model:
    """A model of this kind with its defaults."""
    known = kinds()
    try:
        model: Model = known[name]()
    except (KeyError, TypeError):  # a kind that needs more than defaults cannot be had by its name
        hint = did_you_mean(name, [*declared, *known])
        raise ConfigurationError(f"detector {detector.name!r} declares no model {name!r}.{hint}") from None
    return model


def treated(model: Any, treatment: str) -> Model:
    """The model with this treatment of imbalance, where it declares none and knows of any."""
    if getattr(model, "imbalance", None) != "none":
        return model  # type: ignore[no-any-return]  # a Model all the same
    return msgspec.structs.replace(model, imbalance=treatment)  # type: ignore[no-any-return]


def splits_of(detector: Detector, rows: Rows, options: Options) -> list[Split]:
    """The split, or the folds, oldest first.

    Raises:
        DataError: too little was recorded. ConfigurationError: folds and times exclude one another.
    """
    recipe = options.recipe(detector)
    if recipe is not None:
        return [CountSplit.of(rows.time_us, recipe.divided(len(rows)), recipe.folds)]
    delay = detector.label.delay_us if detector.label is not None else 0
    times = rows.time_us[rows.known]
    if not options.folds:
        return [Periods.of(times, delay, **options.times)]
    if options.times:
        given = ", ".join("--" + name.replace("_", "-") for name in options.times)
        raise ConfigurationError(f"{options.folds} folds divide all recorded time by themselves; leave out {given}")
    return list(Periods.folds(times, delay, options.folds))
