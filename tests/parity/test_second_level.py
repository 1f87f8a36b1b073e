"""The second level of `evaluation/second_level.py` is made of earlier payments alone."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

EVALUATION = Path(__file__).parents[2] / "evaluation"
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def evaluation() -> Iterator[ModuleType]:
    sys.path.insert(0, str(EVALUATION))
    try:
        import second_level

        yield second_level
    finally:
        sys.path.remove(str(EVALUATION))


@pytest.fixture
def stream() -> pl.DataFrame:
    """Payments of few parties with equal times, late arrivals, missing scores and missing parties."""
    rng, n = np.random.default_rng(5), 400
    time = np.sort(rng.integers(0, 90, n)) - rng.choice([0, 0, 0, 9], n)
    z = np.where(rng.random(n) < 0.1, np.nan, rng.normal(0.0, 2.0, n))
    return pl.DataFrame(
        {
            "payer": [None if key == 0 else f"p{key}" for key in rng.integers(0, 6, n)],
            "other": [None if key == 0 else f"o{key}" for key in rng.integers(0, 4, n)],
            "time": time * DAY_US,
            "z": z,
        }
    )


def test_each_feature_is_that_of_a_loop_over_earlier_payments(evaluation, stream):
    found = evaluation.second_level(stream, ["z"])
    expected = pl.DataFrame(_loop(stream, evaluation.ODD), schema=found.schema, orient="row")
    for name in found.columns:
        assert found[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-9), name


def test_later_payments_change_nothing(evaluation, stream):
    for upto in (50, 200, 399):
        part = evaluation.second_level(stream[:upto], ["z"])
        whole = evaluation.second_level(stream, ["z"])[:upto]
        for name in part.columns:
            assert part[name].to_list() == pytest.approx(whole[name].to_list(), abs=1e-9), name


def _loop(stream: pl.DataFrame, limit: float) -> list[list[float | None]]:
    """The same features, each row asking a list of what arrived before it."""
    seen: list[dict] = []
    made = []
    for row in stream.to_dicts():
        made.append([*_of_payer(row, seen, limit), *_of_other(row, seen, limit)])
        seen.append(row)
    return made


def _of_payer(row: dict, seen: list[dict], limit: float) -> list[float | None]:
    if row["payer"] is None:
        return [None] * 8
    before = [each for each in seen if each["payer"] == row["payer"]]
    z = [_known(each["z"]) for each in before]
    known = [value for value in z if value is not None]
    odd = [each["time"] for each in before if abs(each["z"]) > limit]
    recent = _within(row, before, 30)
    return [
        z[-1] if z else None,
        z[-2] if len(z) > 1 else None,
        len(odd) / len(known) if known else None,
        sum(map(abs, known)) / len(known) if known else None,
        float(row["time"] - odd[-1]) if odd else None,
        float(sum(abs(value) > limit for value in recent)),
        sum(recent) / len(recent) if recent else None,
        max(recent) if recent else None,
    ]


def _of_other(row: dict, seen: list[dict], limit: float) -> list[float | None]:
    if row["other"] is None:
        return [None] * 2
    recent = _within(row, [each for each in seen if each["other"] == row["other"]], 7)
    if not recent:
        return [None] * 2
    return [sum(recent) / len(recent), sum(abs(value) > limit for value in recent) / len(recent)]


def _within(row: dict, before: list[dict], days: int) -> list[float]:
    """The scores whose key's clock, on their arrival, was within the window before the clock of now, and not now."""
    *clocks, clock = np.maximum.accumulate([each["time"] for each in [*before, row]]).tolist()
    return [
        each["z"]
        for each, was in zip(before, clocks, strict=True)
        if clock - days * DAY_US <= was < clock and _known(each["z"]) is not None
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
