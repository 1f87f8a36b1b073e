"""The Handbook's protocol, its 15 features computed by our kernel: python evaluation/handbook.py FILE [--quick] [--json].

Which models an ensemble holds and what each of them weighs is chosen on the validation folds alone. Those lie before the
test folds, and the search is seeded. Every member is then trained again on each test fold's own week.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from _table import main, table

from penstock import BalancedBagging, Detector, Entity, Label, LogisticRegression, RandomForest, XGBoost, derive
from penstock.models.calibration import Calibration
from penstock.models.fit import fit_member, outputs
from penstock.offline import protocol
from penstock.offline.datasets import read
from penstock.offline.protocol import TEST_FOLDS, VALIDATION_FOLDS, FoldRows
from penstock.offline.rows import Rows, replayed

BOOK = {
    "logistic regression": (0.623, 0.297, 0.868),
    "random forest": (0.678, 0.299, 0.870),
    "gradient boosting": (0.694, 0.304, 0.872),
    "balanced bagging": (0.680, 0.305, 0.879),
}
"""Average precision, card precision@100 and ROC AUC in the book's own tables, the best of each kind."""

DRAWS = 200


class Transaction(msgspec.Struct):
    """The Handbook's columns."""

    TRANSACTION_ID: str
    TX_DATETIME: datetime
    CUSTOMER_ID: str
    TERMINAL_ID: str
    TX_AMOUNT: float
    TX_FRAUD: bool | None = None


customer, terminal = Entity("CUSTOMER_ID"), Entity("TERMINAL_ID")
WINDOWS = ("1d", "7d", "30d")
FEATURES = [
    *(customer.count(window) for window in WINDOWS),
    *(customer.mean("TX_AMOUNT", window) for window in WINDOWS),
    *(terminal.count(window, delay="7d") for window in WINDOWS),
    *(terminal.label_rate(window, delay="7d") for window in WINDOWS),
    derive("weekend", "weekday(TX_DATETIME) >= 5"),
    derive("night", "hour(TX_DATETIME) <= 6"),
]
detector = Detector(
    "handbook",
    event=Transaction,
    id="TRANSACTION_ID",
    time="TX_DATETIME",
    label=Label("TX_FRAUD", delay="7d"),
    features=FEATURES,
    inputs=["TX_AMOUNT", *(feature.name for feature in FEATURES)],
    naive_times="UTC",
)

_BOOSTED = XGBoost(trees=300, depth=4, tree_method="exact")
MEMBERS: dict[str, tuple[Any, int]] = {
    "logistic_regression": (LogisticRegression(transform="standard", clip=False), 0),
    "xgboost_1": (_BOOSTED, 1),
    "xgboost_2": (_BOOSTED, 2),
    "xgboost_deeper": (XGBoost(trees=250, depth=5, tree_method="exact", subsample=0.7, colsample=1.0), 1),
    "random_forest": (RandomForest(trees=100, depth=30, features=0.4), 1),
    "random_splits": (RandomForest(trees=100, depth=30, min_leaf=3, features=0.6, splits="random"), 1),
    "balanced_bagging": (BalancedBagging(trees=200, depth=12, features=0.4), 1),
}
"""What an ensemble may hold, and the seed each is trained with."""


class Runs:
    """Raw outputs of every member on the test rows of some folds."""

    def __init__(self, rows: Rows, days: Any, members: dict[str, tuple[Any, int]], say: Any) -> None:
        self.rows = rows
        self.folds = [FoldRows.starting(day, rows) for day in days]
        self.outcomes = [rows.fraud[fold.test] for fold in self.folds]
        self.raw: dict[str, list[Any]] = {}
        for name, (model, seed) in members.items():
            say(f"{name}: {len(self.folds)} folds")
            self.raw[name] = [self._outputs(model, seed, fold) for fold in self.folds]

    def _outputs(self, model: Any, seed: int, fold: FoldRows) -> Any:
        names = detector.plan.inputs
        member = fit_member(model, self.rows.x[fold.train], self.rows.fraud[fold.train], names, seed=seed)
        return outputs(member, np.ascontiguousarray(self.rows.x[fold.test]))

    def figures(self, scores: list[Any]) -> dict[str, float]:
        """Means over the folds."""
        return protocol.mean([protocol.figures(fold, self.rows, s) for fold, s in zip(self.folds, scores, strict=True)])


def calibrations(validation: Runs) -> dict[str, Calibration]:
    """Each member's way from raw output to probability, fitted on all validation folds together."""
    y = np.concatenate(validation.outcomes)
    return {name: Calibration.fit(np.concatenate(raw), y, prior=float(y.mean())) for name, raw in validation.raw.items()}


def probabilities(runs: Runs, fitted: dict[str, Calibration]) -> list[Any]:
    """(n, m) per fold."""
    columns = {name: [fitted[name].apply(raw) for raw in raws] for name, raws in runs.raw.items()}
    return [np.column_stack([each[at] for each in columns.values()]) for at in range(len(runs.folds))]


def chosen_weights(validation: Runs, per_fold: list[Any], seed: int = 0) -> Any:
    """The shares with the highest sum of the three figures on the validation folds: drawn at random, then refined."""
    rng, members = np.random.default_rng(seed), len(validation.raw)
    if members == 1:
        return np.ones(1)

    def worth(shares: Any) -> float:
        return sum(validation.figures([p @ shares for p in per_fold]).values())

    candidates = [np.full(members, 1 / members), *rng.dirichlet(np.full(members, 0.7), DRAWS // 2)]
    best = max(candidates, key=worth)
    reached = worth(best)
    for _ in range(DRAWS - len(candidates)):
        near = np.clip(best + rng.normal(scale=0.07, size=len(best)), 0, None)
        near /= near.sum()
        if (found := worth(near)) > reached:
            best, reached = near, found
    return best


def evaluate(path: Path, say: Any = lambda _text: None, *, quick: bool = False) -> dict[str, Any]:
    """Figures of every member and of the ensemble, on the validation and on the test folds."""
    rows = replayed(detector, read(path, detector))
    say(f"replayed {len(rows):,} transactions")
    members = {"logistic_regression": MEMBERS["logistic_regression"]} if quick else MEMBERS
    validation = Runs(rows, VALIDATION_FOLDS, members, say)
    fitted = calibrations(validation)
    per_fold = probabilities(validation, fitted)
    weights = chosen_weights(validation, per_fold)
    test = Runs(rows, TEST_FOLDS, members, say)
    shares = dict(zip(members, weights.round(4).tolist(), strict=True))
    return {
        "rows": len(rows),
        "frauds": rows.frauds,
        "weights": shares,
        "validation": _both(validation, per_fold, weights),
        "test": _both(test, probabilities(test, fitted), weights),
        "book": {name: dict(zip(protocol.FIGURES, figures, strict=True)) for name, figures in BOOK.items()},
    }


def _both(runs: Runs, per_fold: list[Any], weights: Any) -> dict[str, dict[str, float]]:
    members = {name: runs.figures(raws) for name, raws in runs.raw.items()}
    return {**members, "ensemble": runs.figures([p @ weights for p in per_fold])}


COLUMNS = {"average_precision": "average precision", "card_precision_at_100": "card precision@100", "roc_auc": "ROC AUC"}


def render(found: dict[str, Any]) -> str:
    """The result for people."""
    weights = ", ".join(f"{name} {share:.2f}" for name, share in found["weights"].items() if share >= 0.005)
    return "\n\n".join(
        [
            table("mean over the 4 test folds", found["test"], COLUMNS),
            table("in the book", found["book"], COLUMNS),
            table("mean over the 8 validation folds", found["validation"], COLUMNS),
            f"Shares of the ensemble, chosen on the validation folds: {weights}.",
        ]
    )


if __name__ == "__main__":
    main(evaluate, render, sys.argv[1:])
