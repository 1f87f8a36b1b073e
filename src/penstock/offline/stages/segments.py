"""Figures by segment: whether the thresholds treat groups of customers alike, by columns that no model needs to read.

The segments come from a file of their own, joined to the test by id or by entity key, or from columns of the recorded data.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.errors import ConfigurationError, DataError, did_you_mean
from penstock.features import Aggregate
from penstock.models import metrics
from penstock.offline.datasets import Recorded, read_file
from penstock.offline.rows import Rows
from penstock.outcomes import known_rate

MOST_VALUES = 20
"""Of each segmentation, so many of the most frequent values; the others are one group."""

DRAWS = 200

UNKNOWN, OTHERS = "unknown", "others"


def segments_of(
    detector: Detector, recorded: Recorded, test: Rows, names: Sequence[str], source: Path | pl.DataFrame | None
) -> dict[str, NDArray[np.object_]]:
    """The segment of every row of the test, by name of the segmentation.

    Args:
        detector: names id and entities.
        recorded: the training's data.
        test: its test.
        names: columns that divide the rows.
        source: the file or frame that holds them with an id or an entity key; None for columns of the recorded data.

    Raises:
        ConfigurationError: there is no such column.
        DataError: the file has no id or key, or a key with two different segments.
    """
    if source is None:
        _check_names("the recorded data", names, recorded.frame.columns)
        found = recorded.frame.select(pl.col(name).cast(pl.String) for name in names)[test.row]
    else:
        found = _joined(detector, recorded, test, names, source)
    return {name: _grouped(found[name]) for name in names}


def _check_names(place: str, names: Sequence[str], columns: Sequence[str]) -> None:
    for name in names:
        if name not in columns:
            raise ConfigurationError(f"--segments {name}: {place} has no such column.{did_you_mean(name, list(columns))}")


def _joined(
    detector: Detector, recorded: Recorded, test: Rows, names: Sequence[str], source: Path | pl.DataFrame
) -> pl.DataFrame:
    """The columns of another file, by the first key that both sides have: the id, else the fields of an entity."""
    frame, place = (source, "the frame") if isinstance(source, pl.DataFrame) else (read_file(source), str(source))
    _check_names(place, names, frame.columns)
    entities = [list(each.entity.fields) for each in detector.features if isinstance(each, Aggregate)]
    known = set(frame.columns) & set(recorded.frame.columns)
    key = next((fields for fields in ([detector.id], *entities) if set(fields) <= known), None)
    if key is None:
        keys = ", ".join(dict.fromkeys("+".join(fields) for fields in ([detector.id], *entities)))
        raise DataError(f"{place} cannot be joined to the recorded data: it needs a column of keys, one of {keys}")
    texts = frame.select(pl.col(name).cast(pl.String) for name in (*key, *names)).unique(maintain_order=True)
    twice = texts.filter(texts.select(key).is_duplicated())
    if len(twice):
        raise DataError(
            f"{place}: {'+'.join(key)} {twice.row(0)[0]!r} has two different segments; give each key one row, those of the"
            " time of the test"
        )
    left = recorded.frame.select(pl.col(name).cast(pl.String) for name in key)[test.row]
    return left.join(texts, on=key, how="left", maintain_order="left")


def _grouped(column: pl.Series) -> NDArray[np.object_]:
    """The values as texts; missing and rare ones as groups."""
    values = column.fill_null(UNKNOWN)
    counts = values.value_counts(sort=False).sort(["count", values.name], descending=[True, False])
    kept = counts[values.name].head(MOST_VALUES)
    found: NDArray[np.object_] = np.where(values.is_in(kept.implode()).to_numpy(), values.to_numpy(), OTHERS).astype(object)
    return found


# ---------------------------------------------------------------- figures


def figures_by_segment(
    segments: dict[str, NDArray[np.object_]], score: NDArray[np.float64], test: Rows, review_at: float, *, seed: int
) -> dict[str, Any]:
    """For each segmentation every group, the largest first: its rows, frauds, rates and ranking, and its disparity.

    The disparity of a group is its false positive rate over that of everybody else, with a 95 % interval that draws
    whole customers; `differs` where the interval does not hold 1. Rates are None below 30 known outcomes.
    """
    return {name: _by_value(values, score, test, review_at, seed) for name, values in segments.items()}


def _by_value(
    values: NDArray[np.object_], score: NDArray[np.float64], test: Rows, review_at: float, seed: int
) -> dict[str, Any]:
    groups, group, counts = np.unique(values.astype(str), return_inverse=True, return_counts=True)
    stopped, good = score >= review_at, test.fraud == 0
    apart = _disparities(group, len(groups), stopped & good, good, test.card, seed)
    found = {}
    for at in np.argsort(-counts, kind="stable").tolist():
        inside = group == at
        y, flagged = test.fraud[inside], stopped[inside]
        caught, frauds, goods = int(y[flagged].sum()), int(y.sum()), int(good[inside].sum())
        rates = {
            "false_positive_rate": known_rate(int(flagged.sum()) - caught, goods),
            "recall": known_rate(caught, frauds),
            "precision": known_rate(caught, int(flagged.sum())),
        }
        ranking = metrics.average_precision(score[inside], y)
        interval = metrics.intervals(score[inside], y, test.card[inside], seed=seed)["average_precision"]
        found[str(groups[at])] = {
            "rows": int(counts[at]),
            "frauds": frauds,
            **{name: msgspec.to_builtins(rate) for name, rate in rates.items()},
            "average_precision": None if np.isnan(ranking) else ranking,
            "average_precision_interval": interval,
            "disparity": apart[at] if rates["false_positive_rate"].value is not None else None,
        }
    return found


def _disparities(
    group: NDArray[np.intp],
    groups: int,
    mistaken: NDArray[np.bool_],
    good: NDArray[np.bool_],
    customer: NDArray[np.int64],
    seed: int,
) -> list[dict[str, Any] | None]:
    """Of every group, by a Poisson bootstrap of customers; None where nobody else was stopped by mistake."""
    _, member = np.unique(customer, return_inverse=True)
    place, size = member * groups + group, (int(member.max(initial=0)) + 1) * groups
    wrong, right = (np.bincount(place[rows], minlength=size).reshape(-1, groups) for rows in (mistaken, good))
    heavy = np.random.default_rng(seed).poisson(1.0, (DRAWS, len(wrong))).astype(np.float64)
    drawn = _ratios(heavy @ wrong, heavy @ right)
    value = _ratios(wrong.sum(axis=0, keepdims=True).astype(float), right.sum(axis=0, keepdims=True).astype(float))[0]
    found: list[dict[str, Any] | None] = []
    for at in range(groups):
        known = drawn[~np.isnan(drawn[:, at]), at]
        if np.isnan(value[at]) or len(known) < DRAWS / 2:
            found.append(None)
            continue
        low, high = (float(end) for end in np.percentile(known, [2.5, 97.5]))
        found.append({"ratio": float(value[at]), "low": low, "high": high, "differs": not low <= 1 <= high})
    return found


def _ratios(wrong: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rate of each group over the rate of all others (draws, groups); NaN where that is nothing."""
    others_wrong, others = wrong.sum(axis=1, keepdims=True) - wrong, right.sum(axis=1, keepdims=True) - right
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: NDArray[np.float64] = (wrong / right) / (others_wrong / others)
    return np.where(np.isfinite(ratio), ratio, np.nan)
