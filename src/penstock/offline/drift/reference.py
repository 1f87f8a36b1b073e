"""Construction of a drift reference from training rows or from a recorded file."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import from_us
from penstock.detector import Detector
from penstock.errors import DataError
from penstock.models import Encoding, Ensemble
from penstock.models.reference import Column, Reference, cut, cut_texts
from penstock.offline import measure
from penstock.offline.drift.estimate import figures, sums_of
from penstock.offline.drift.sketch import DAY_US, SCORE
from penstock.offline.report.importance import importance
from penstock.offline.rows import Rows
from penstock.outcomes import known_rate

DAYS = 28
"""Of how many days, the newest: four whole weeks, in which windows have filled as far as they will."""


def reference_of(detector: Detector, ensemble: Ensemble, rows: Rows, fresh: NDArray[np.bool_], data: str) -> Reference:
    """The reference of an ensemble.

    Args:
        detector: the one that the models belong to.
        ensemble: scores the fresh rows.
        rows: everything that was recorded, whether its truth is known or not; texts not encoded yet.
        fresh: the rows that the ensemble has not learned from. Scores are taken of these alone, since a model is
            surer about its training rows than about any later ones.
        data: the name of what was recorded.
    """
    found = reference_of_inputs(detector, rows, data)
    first, days = _first_day(rows), len(found.days)
    chosen = rows.take((rows.time_us // DAY_US >= first) & fresh)
    unknown = {name: Encoding({}, np.nan, None) for name in chosen.texts}
    encoded = chosen.encoded({**unknown, **ensemble.encodings}, detector.plan.inputs)
    x = encoded.x[:, [detector.plan.inputs.index(name) for name in ensemble.features]]
    day = (chosen.time_us // DAY_US - first).astype(np.int64)
    scores = scores_of(ensemble, x)
    return msgspec.structs.replace(
        found,
        columns=[*found.columns, *(_score(name, score, day, days) for name, score in scores.items())],
        importance=_importance(ensemble, x, scores[SCORE]),
        expected=_expected(detector, ensemble, scores[SCORE], encoded.fraud),
    )


def reference_of_inputs(detector: Detector, rows: Rows, data: str) -> Reference:
    """The reference of the inputs alone, without scores.

    Raises:
        DataError: there are no rows.
    """
    if not len(rows):
        raise DataError(f"{data} holds no transactions that a reference could be made from")
    first, last, begun_us = _first_day(rows), int(rows.time_us.max()) // DAY_US, int(rows.time_us.min())
    dates = [f"{from_us(each * DAY_US):%Y-%m-%d}" for each in range(first, last + 1)]
    newest = rows.take(rows.time_us // DAY_US >= first)
    day = (newest.time_us // DAY_US - first).astype(np.int64)
    return Reference(
        data=data,
        days=dates,
        ages_d=((first * DAY_US - begun_us) / DAY_US, ((last + 1) * DAY_US - begun_us) / DAY_US),
        columns=[_input(name, at, newest, day, len(dates)) for at, name in enumerate(detector.plan.inputs)],
    )


def _first_day(rows: Rows) -> int:
    """The first day of the reference, counted since 1970."""
    return max(int(rows.time_us.max()) // DAY_US - DAYS + 1, int(rows.time_us.min()) // DAY_US)


def scores_of(ensemble: Ensemble, x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The scores of some rows, by the names of their columns in the ledger."""
    found = ensemble.score(x)
    return {SCORE: found.ensemble, **{f"score_{name}": found.members[:, at] for at, name in enumerate(ensemble.names)}}


def _input(name: str, at: int, rows: Rows, day: NDArray[np.int64], days: int) -> Column:
    if name in rows.texts:
        texts: Sequence[str | None] = rows.texts[name].texts.tolist()
        column = cut_texts(name, texts)
        return column.counted(column.place_texts(texts), day, days)
    column = cut(name, rows.x[:, at])
    return column.counted(column.place(rows.x[:, at]), day, days)


def _score(name: str, score: NDArray[np.float64], day: NDArray[np.int64], days: int) -> Column:
    column = cut(name, score, "score")
    return column.counted(column.place(score), day, days)


def _importance(ensemble: Ensemble, x: NDArray[np.float64], score: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """The share of every input, rounded: in the ensemble's scores and in each member's."""
    if not len(x):
        return {}
    found: list[dict[str, Any]] = importance(ensemble, x, score)
    return {
        each["feature"]: {name: round(share, 4) for name, share in {"ensemble": each["share"], **each["members"]}.items()}
        for each in found
    }


def _expected(
    detector: Detector, ensemble: Ensemble, score: NDArray[np.float64], fraud: NDArray[np.float64]
) -> dict[str, float | None]:
    """Expected and actual quality on fresh rows, where outcomes are known."""
    review_at = measure.in_force(detector, ensemble)["review_at"]
    said = figures(sums_of(score, None, np.zeros(len(score), np.intp), 1, review_at)[0])
    known = ~np.isnan(fraud)
    flagged = known & (score >= review_at)
    found: Mapping[str, float | None] = {
        "known": float(known.sum()),
        "known_fraud_rate": known_rate(int(fraud[known].sum()), int(known.sum())).value,
        "known_precision": known_rate(int(fraud[flagged].sum()), int(flagged.sum())).value,
    }
    return {name: value for name, value in said.items() if not name.startswith("stopped")} | dict(found)
