"""The Handbook's folds: a week, a week without labels, a week without the cards that are known by then."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from penstock.clock import to_us
from penstock.offline.protocol import FoldRows, figures
from penstock.offline.rows import Rows

FIRST = date(2018, 7, 25)


def at(day):
    """Noon of a day counted from the first of the training."""
    return to_us(datetime(2018, 7, 25, 12, tzinfo=UTC) + timedelta(days=day))


def rows(events):
    """(day, card, fraud) in order."""
    days, cards, fraud = (np.array(column) for column in zip(*events, strict=True))
    n = len(events)
    return Rows(
        ids=np.array([str(i) for i in range(n)], dtype=object),
        x=np.zeros((n, 1)),
        texts={},
        fraud=fraud.astype(float),
        time_us=np.array([at(int(day)) for day in days]),
        known_us=np.zeros(n, np.int64),
        card=cards,
        amount=np.ones(n),
        stopped=np.zeros(n, np.bool_),
        row=np.arange(n),
    )


def test_training_and_test_are_a_week_each_with_a_week_between():
    recorded = rows([(day, day, 0) for day in range(-3, 30)])
    fold = FoldRows.starting(FIRST, recorded)
    assert [recorded.card[fold.train].tolist(), recorded.card[fold.test].tolist()] == [[*range(7)], [*range(14, 21)]]


@pytest.mark.parametrize(
    ("fraud_day", "missing_from"),
    [(3, 14), (6, 14), (7, 15), (9, 17), (13, 21), (14, 22)],
)
def test_a_card_is_left_out_from_the_day_on_which_its_fraud_is_known(fraud_day, missing_from):
    """A fraud in the training is known throughout; a later one a week after it happened, and a day."""
    recorded = rows([(fraud_day, 1, 1), *((day, 1, 0) for day in range(14, 21))])
    fold = FoldRows.starting(FIRST, recorded)
    tested = (recorded.time_us[fold.test[fold.test > 0]] - at(0)) // 86_400_000_000
    assert tested.tolist() == [*range(14, min(missing_from, 21))]


def test_the_three_figures_of_a_perfect_score_are_the_best_there_are():
    recorded = rows([(14 + day, card, card == 5) for day in range(7) for card in range(10)])
    fold = FoldRows.starting(FIRST, recorded)
    perfect = figures(fold, recorded, recorded.fraud[fold.test])
    assert (perfect["average_precision"], perfect["roc_auc"]) == (1.0, 1.0)
    assert perfect["card_precision_at_100"] == pytest.approx(1 / 100 / 7)  # caught on the first day, and left out since
