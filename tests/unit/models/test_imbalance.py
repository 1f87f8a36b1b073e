"""What is done about few frauds before a model is fitted."""

import numpy as np
import pytest

from penstock.models import imbalance
from penstock.models.imbalance import treat


def rows(n=400, frauds=40, seed=0):
    rng = np.random.default_rng(seed)
    y = np.zeros(n)
    y[rng.choice(n, frauds, replace=False)] = 1
    x = rng.normal(size=(n, 4)) + 2 * y[:, None]
    x[:, 1] *= 1000
    x[:, 3] = rng.choice([-5.0, -4.0, -1.5], n)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, y


def quiet(note):
    raise AssertionError(f"there is nothing to note, but: {note}")


def test_nothing_is_done_unless_asked_for() -> None:
    x, y = rows()
    weights = np.arange(400.0)
    assert all(ours is theirs for ours, theirs in zip(treat(x, y, weights, "none", note=quiet), (x, y, weights), strict=True))


def test_weights_make_both_classes_weigh_the_same_and_leave_the_total() -> None:
    x, y = rows()
    given = np.random.default_rng(1).uniform(0.5, 2, len(y))
    _, _, weights = treat(x, y, given, "weights", note=quiet)
    assert weights[y == 1].sum() == pytest.approx(weights[y == 0].sum())
    assert weights.sum() == pytest.approx(given.sum())


def test_under_sampling_keeps_all_frauds_and_as_many_good_rows_as_they_were() -> None:
    x, y = rows()
    weights = np.arange(400.0)
    found, outcome, kept = treat(x, y, weights, "under", note=quiet)
    assert (outcome.sum(), len(outcome)) == (40, 80)
    assert np.array_equal(found, x[kept.astype(int)], equal_nan=True)


def test_smote_keeps_every_row_and_adds_frauds_between_frauds() -> None:
    x, y = rows()
    found, outcome, _ = treat(x, y, None, "smote", note=quiet)
    assert np.array_equal(found[: len(x)], x, equal_nan=True)
    assert outcome.sum() == len(outcome) / 2
    made = found[len(x) :]
    assert (outcome[len(x) :] == 1).all()
    assert not np.isnan(made).any()
    low, high = np.nanmin(x[y == 1], axis=0), np.nanmax(x[y == 1], axis=0)
    median = np.nanmedian(x, axis=0)
    assert ((made >= np.minimum(low, median) - 1e-9) & (made <= np.maximum(high, median) + 1e-9)).all()


def test_no_scale_outvotes_another_when_neighbours_are_sought() -> None:
    """A column in cents instead of euros makes the same rows."""
    x, y = rows()
    cents = x * np.array([1.0, 100.0, 1.0, 1.0])
    euros, hundredths = treat(x, y, None, "smote", note=quiet)[0], treat(cents, y, None, "smote", note=quiet)[0]
    assert np.allclose(euros * np.array([1.0, 100.0, 1.0, 1.0]), hundredths, equal_nan=True)


def test_where_there_are_categories_only_those_that_occur_are_made() -> None:
    x, y = rows()
    x[::2, 3] = -9.0  # an even count on both sides of the middle: their mean is no category
    mixed = treat(x, y, None, "smote", categorical=[3], note=quiet)[0][len(x) :]
    plain = treat(x, y, None, "smote", note=quiet)[0][len(x) :]
    occurring = {-9.0, -5.0, -4.0, -1.5}
    assert set(mixed[:, 3].tolist()) <= occurring
    assert not set(plain[:, 3].tolist()) <= occurring
    alone = treat(x[:, 3:], y, None, "smote", categorical=[0], note=quiet)[0][len(x) :]
    assert set(alone[:, 0].tolist()) <= occurring


def test_smoteenn_removes_what_lies_among_the_other_class() -> None:
    x, y = rows()
    resampled, cleaned = (treat(x, y, None, how, categorical=[3], note=quiet) for how in ("smote", "smoteenn"))
    assert len(cleaned[1]) < len(resampled[1])
    assert 0 < cleaned[1].sum() < len(cleaned[1])
    kept = {row.tobytes() for row in resampled[0]}
    assert all(row.tobytes() in kept for row in cleaned[0])


def test_cleaning_many_rows_takes_some_of_them_and_says_so(monkeypatch) -> None:
    """Every row is compared with every other: a million would take hours."""
    x, y = rows()
    monkeypatch.setattr(imbalance, "MOST_CLEANED", 200)
    notes = []
    found, outcome, _ = treat(x, y, None, "smoteenn", note=notes.append)
    assert len(found) <= 200
    assert 0 < outcome.sum() < len(outcome)
    assert notes == ["SMOTEENN saw 140 of 400 rows, drawn at random: its cleaning compares every row with every other"]


def test_made_rows_weigh_what_an_average_fraud_does() -> None:
    x, y = rows()
    weights = np.where(y == 1, 3.0, 1.0)
    _, outcome, found = treat(x, y, weights, "smote", note=quiet)
    assert found[: len(x)].tolist() == weights.tolist()
    assert (found[len(x) :] == 3.0).all()
    assert len(found) == len(outcome)


@pytest.mark.parametrize(("frauds", "said"), [(5, "4 neighbours instead of 5"), (2, "1 neighbours"), (1, "too few")])
def test_few_frauds_are_noted_and_something_sensible_is_done(frauds, said) -> None:
    x, y = rows(60, frauds)
    notes = []
    found, outcome, weights = treat(x, y, None, "smote", note=notes.append)
    assert len(notes) == 1
    assert said in notes[0]
    if frauds == 1:
        assert len(found) == 60
        assert weights[y == 1].sum() == pytest.approx(weights[y == 0].sum())
    else:
        assert outcome.sum() == len(outcome) / 2


@pytest.mark.parametrize("how", ["smote", "smoteenn", "under"])
def test_the_same_rows_give_the_same_rows(how) -> None:
    x, y = rows()
    once, again = (treat(x, y, None, how, seed=4, note=quiet) for _ in range(2))
    assert np.array_equal(once[0], again[0], equal_nan=True)
    assert np.array_equal(once[1], again[1])


def test_infinite_and_constant_and_always_missing_columns_are_no_error() -> None:
    x, y = rows()
    x[0, 0], x[1, 0], x[:, 1], x[:, 2] = np.inf, -np.inf, np.nan, 7.0
    found, outcome, _ = treat(x, y, None, "smoteenn", note=lambda _: None)
    assert 0 < outcome.sum() < len(outcome)
    assert not np.isinf(found[~np.isin(found[:, 0], (np.inf, -np.inf))]).any()
