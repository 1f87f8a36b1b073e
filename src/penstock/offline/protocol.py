"""The evaluation protocol of the Fraud Detection Handbook: a week each of training, label delay and test, fold after fold.

    |-- 7 days: train --|-- 7 days: labels become known --|-- 7 days: test --|

On each test day, cards already known to be compromised are left out: those with fraud in the training week, and those with
fraud on a day from its end up to the day before the label delay. The rest are the frauds that a team would still have to
find. Source: Le Borgne et al., "Reproducible machine learning for credit card fraud detection" (2022), chapter 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from penstock.models import metrics
from penstock.offline.rows import Rows

DAY_US = 86_400_000_000

TRAIN_DAYS = DELAY_DAYS = TEST_DAYS = 7

TEST_FOLDS = (date(2018, 8, 15), date(2018, 8, 8), date(2018, 8, 1), date(2018, 7, 25))
VALIDATION_FOLDS = tuple(date(2018, 7, 11) - timedelta(days=7 * back) for back in range(8))
"""First training days of the folds that figures are reported for, and of those that anything may be chosen on."""

FIGURES = ("average_precision", "card_precision_at_100", "roc_auc")


@dataclass(frozen=True, slots=True)
class FoldRows:
    """Positions of the rows that are trained on, and of those that are tested on."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]

    @classmethod
    def starting(cls, first: date, rows: Rows) -> "FoldRows":
        """The fold whose training begins on this day; rows of unknown outcome belong to none."""
        day = rows.time_us // DAY_US
        start = (first - date(1970, 1, 1)).days
        train = np.flatnonzero((day >= start) & (day < start + TRAIN_DAYS) & rows.known)
        compromised = {*rows.card[train[rows.fraud[train] > 0]].tolist()}
        test = []
        for k in range(TEST_DAYS):
            since_labelled = (day == start + TRAIN_DAYS + k - 1) & (rows.fraud > 0)
            compromised |= {*rows.card[since_labelled].tolist()}
            today = np.flatnonzero((day == start + TRAIN_DAYS + DELAY_DAYS + k) & rows.known)
            test.append(today[~np.isin(rows.card[today], list(compromised))])
        return cls(train, np.concatenate(test))


def figures(fold: FoldRows, rows: Rows, score: NDArray[np.float64]) -> dict[str, float]:
    """The three figures of the book for scores of the fold's test rows."""
    y = rows.fraud[fold.test]
    day, card = rows.time_us[fold.test] // DAY_US, rows.card[fold.test]
    return {
        "average_precision": metrics.average_precision(score, y),
        "card_precision_at_100": metrics.card_precision_at_k(day, card, score, y),
        "roc_auc": metrics.roc_auc(score, y),
    }


def mean(folds: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over folds."""
    return {name: float(np.mean([each[name] for each in folds])) for name in FIGURES}
