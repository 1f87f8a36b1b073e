"""Hyperparameter tuning on the validation rows by a seeded search with a budget in trials, in time, or both.

The search space is declared here, per kind of model. A field that a detector sets to another value than the kind's default
is kept. The first trial is the model as declared, so that tuning never ends below it on those rows. Every trial of a model
that leaves its number of trees open finds that number by early stopping. The same number of trials gives the same model,
whether trials or time ended the search.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np

from penstock.models import Model, metrics
from penstock.models.fit import open_trees, outputs
from penstock.offline.folds import Folds
from penstock.offline.stages.early_stopping import Stopping, with_trees

_LEAST_TRIALS = 2
"""The model as declared, and one other."""


class SearchRange(NamedTuple):
    """Numbers from low to high, whole ones where both are; with `log`, as many trials per factor as per factor."""

    low: float
    high: float
    log: bool = False


Space = Mapping[str, SearchRange]

_BOOSTING: Space = {"depth": SearchRange(3, 8), "learning_rate": SearchRange(0.02, 0.2, log=True)}
"""Without the number of trees, which early stopping finds."""

SPACES: Mapping[str, Space] = {
    "logistic_regression": {"C": SearchRange(1e-3, 1e2, log=True)},
    "random_forest": {"depth": SearchRange(6, 20), "min_leaf": SearchRange(1, 20, log=True), "features": SearchRange(0.1, 0.8)},
    "gradient_boosting": {
        **_BOOSTING,
        "trees": SearchRange(100, 500, log=True),
        "subsample": SearchRange(0.4, 1.0),
        "features": SearchRange(0.2, 1.0),
        "min_leaf": SearchRange(2, 40, log=True),
    },
    "xgboost": {
        **_BOOSTING,
        "min_child_weight": SearchRange(0.3, 10.0, log=True),
        "subsample": SearchRange(0.5, 1.0),
        "colsample": SearchRange(0.4, 1.0),
        "l2": SearchRange(0.1, 10.0, log=True),
    },
    "lightgbm": {
        "depth": SearchRange(4, 10),
        "leaves": SearchRange(8, 128, log=True),
        "learning_rate": SearchRange(0.02, 0.2, log=True),
        "min_leaf": SearchRange(1, 100, log=True),
        "min_child_weight": SearchRange(0.1, 10.0, log=True),
        "subsample": SearchRange(0.5, 1.0),
        "colsample": SearchRange(0.4, 1.0),
        "l2": SearchRange(0.1, 10.0, log=True),
    },
    "balanced_bagging": {
        "depth": SearchRange(6, 20),
        "min_leaf": SearchRange(1, 20, log=True),
        "features": SearchRange(0.3, 1.0),
    },
    "isolation_forest": {"trees": SearchRange(50, 300, log=True)},
}
"""What may vary, by kind. A kind that is not here is not tuned."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The result of a search: the model with its number of trees, and every trial with its parameters and its average
    precision on the validation rows. timed_out: time ended the search before its number of trials.
    """

    model: Model
    trials: tuple[dict[str, Any], ...]
    timed_out: bool = False

    def as_json(self) -> dict[str, Any]:
        """The trials, and which one won."""
        best = max(self.trials, key=lambda trial: trial["average_precision"], default=None)
        return {"trials": list(self.trials), "best": best}


def tune(
    model: Model,
    folds: Folds,
    trials: int,
    *,
    seed: int,
    stopping: Stopping | None = None,
    seconds: float = math.inf,
    progress: Callable[[float], None] = lambda _share: None,
) -> Tuned:
    """Search for the hyperparameters with the highest average precision on the validation rows, averaged over the folds.

    Without trials, or for a kind that is not tuned, the model comes back as declared, with its number of trees.

    Args:
        model: as declared.
        folds: to fit and judge on.
        trials: how many at most.
        seed: the same seed and number of trials give the same model.
        stopping: rows for early stopping; None leaves the number of trees open.
        seconds: no trial begins after so long; the first two always run.
        progress: called with the share that is done.
    """
    space = open_space(model)
    if trials < 1 or not space:
        return Tuned(with_trees(model, stopping, folds.features, seed=seed), ())
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    search.enqueue_trial({name: _within(getattr(model, name), allowed) for name, allowed in space.items()})
    done: list[dict[str, Any]] = []
    best, began_s = (-np.inf, model), time.monotonic()
    for at in range(trials):
        spent_s = time.monotonic() - began_s
        if at >= _LEAST_TRIALS and spent_s >= seconds:
            break
        trial = search.ask()
        chosen = {name: _suggested(trial, name, allowed) for name, allowed in space.items()}
        candidate = model if at == 0 else msgspec.structs.replace(model, **chosen)  # type: ignore[type-var]  # every kind is a Struct
        candidate = with_trees(candidate, stopping, folds.features, seed=seed)
        worth = _worth(candidate, folds, seed)
        search.tell(trial, worth)
        shown = {name: getattr(candidate, name) for name in (*space, *(["trees"] if open_trees(model) else []))}
        done.append({**shown, "average_precision": worth})
        best = max(best, (worth, candidate), key=lambda each: each[0])
        progress(min(1.0, max((at + 1) / trials, spent_s / max(seconds, 1e-9))))
    return Tuned(best[1], tuple(done), timed_out=len(done) < trials)


def open_space(model: Model) -> Space:
    """The search space of this model: its kind's without the declared fields."""
    kind = type(model)
    space = SPACES.get(kind.__module__.rpartition(".")[2], {})
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]  # every kind is a Struct
    return {name: allowed for name, allowed in space.items() if getattr(model, name) == defaults[name]}


def _whole(allowed: SearchRange) -> bool:
    return isinstance(allowed.low, int) and isinstance(allowed.high, int)


def _within(value: float, allowed: SearchRange) -> float:
    inside = min(max(value, allowed.low), allowed.high)
    return int(inside) if _whole(allowed) else float(inside)


def _suggested(trial: Any, name: str, allowed: SearchRange) -> float:
    if _whole(allowed):
        return int(trial.suggest_int(name, allowed.low, allowed.high, log=allowed.log))
    return float(trial.suggest_float(name, allowed.low, allowed.high, log=allowed.log))


def _worth(model: Model, folds: Folds, seed: int) -> float:
    """Mean average precision on the validation rows; folds without fraud among them are left out."""
    found = []
    for fold in folds.folds:
        member = fold.fit_model(model, folds.features, seed=seed, notes=[])
        found.append(metrics.average_precision(outputs(member, fold.judge.x), fold.judge.fraud))
    known = [each for each in found if not np.isnan(each)]
    return float(np.mean(known)) if known else 0.0
