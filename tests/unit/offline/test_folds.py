"""Lessons: what is fitted knows nothing of the rows it is judged by."""

from dataclasses import replace

import numpy as np
import pytest

from penstock.errors import DataError
from penstock.models import Encoding
from penstock.offline.datasets import read
from penstock.offline.folds import held_out, in_time_order
from penstock.offline.rows import replayed


@pytest.fixture
def rows(small, frame):
    return replayed(small, read(frame, small))


def test_texts_stand_for_what_the_training_rows_say_alone(small, rows):
    fit, judge = rows.take(np.arange(2000)), rows.take(np.arange(2000, 3000))
    folds = held_out(fit, judge, small.plan.inputs)
    at = small.plan.inputs.index("branch")
    expected = Encoding.fit(fit.texts["branch"].codes, fit.texts["branch"].texts.tolist(), fit.fraud)
    fold = folds.folds[0]
    np.testing.assert_array_equal(fold.judge.x[:, at], expected.encode(judge.texts["branch"].codes))
    others = Encoding.out_of_fold(fit.texts["branch"].codes, fit.fraud)
    np.testing.assert_array_equal(fold.fit.x[:, at], others)
    assert expected.values["games"] > expected.values["food"]


def test_folds_in_time_order_are_judged_by_later_rows_each_once(small, rows):
    folds = in_time_order(rows, 4, small.plan.inputs)
    for fold in folds.folds:
        assert fold.fit.time_us.max() <= fold.judge.time_us.min()
    assert [len(fold.fit) for fold in folds.folds] == [600, 1200, 1800, 2400]
    assert folds.judged.ids.tolist() == rows.ids[600:].tolist()
    assert len(folds.final.fit) == len(rows)


def test_folds_need_both_classes_in_the_first_stretch(small, rows):
    late = replace(rows, fraud=np.where(np.arange(3000) < 600, 0.0, rows.fraud))
    with pytest.raises(DataError, match="use fewer folds than 4"):
        in_time_order(late, 4, small.plan.inputs)
