"""Construction of a drift reference from training rows or from a recorded file."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import from_us
from penstock.detector import Detector
from penstock.errors import DataError
from penstock.models import Encoding, Ensemble
from penstock.models.reference import Reference, ReferenceColumn, cut, cut_texts
from penstock.offline import measure
from penstock.offline.drift.estimate import figures, sums_of
from penstock.offline.drift.sketch import DAY_US, SCORE
from penstock.offline.report.importance import importance
from penstock.offline.rows import Rows
from penstock.outcomes import known_rate

DAYS = 28
"""Of how many days, the newest: four whole weeks, in which windows have filled as far as they will."""


class Unlearned(NamedTuple):
    """Models, and which rows they have not learned from."""

    ensemble: Ensemble
    rows: NDArray[np.bool_]


def reference_of(
    detector: Detector,
    ensemble: Ensemble,
    rows: Rows,
    scored: NDArray[np.bool_],
    data: str,
    *,
    stand_in: Unlearned | None = None,
) -> Reference:
    """The reference of an ensemble that serves.

    Its distribution of scores is always its own, also where it was fitted again and has learned from these rows. Two fits of
    the same trees give most payments other values within the same few thousandths, so that bins cut for one hold other
    shares of the other. That is more than learned rows differ from later ones, of which the label delay has some: how far
    days of the reference lie apart is part of the limits of drift. Quality is expected from rows that nobody learned from.

    Args:
        detector: the one that the models belong to.
        ensemble: scores the rows.
        rows: everything that was recorded, whether its truth is known or not; texts not encoded yet.
        scored: the rows whose scores count, in days that follow one another.
        data: the name of what was recorded.
        stand_in: shows what quality to expect; the ensemble does, on the scored rows, where it has not learned from them.
    """
    found = reference_of_inputs(detector, rows, data)
    first, days = _first_day(rows), len(found.days)
    newest = rows.time_us // DAY_US >= first
    chosen = _encoded(detector, rows.take(newest & scored), ensemble)
    day = (chosen.time_us // DAY_US - first).astype(np.int64)
    scores = scores_of(ensemble, chosen.x)
    judge, judged, score = ensemble, chosen, scores[SCORE]
    if stand_in is not None:
        judge, judged = stand_in.ensemble, _encoded(detector, rows.take(newest & stand_in.rows), stand_in.ensemble)
        score = scores_of(judge, judged.x)[SCORE]
    return msgspec.structs.replace(
        found,
        columns=[*found.columns, *(_score(name, score, day, days) for name, score in scores.items())],
        importance=_importance(ensemble, chosen.x, scores[SCORE]),
        expected=_expected(detector, judge, score, judged.fraud),
    )


def _encoded(detector: Detector, rows: Rows, ensemble: Ensemble) -> Rows:
    """The rows with the inputs of the ensemble alone."""
    unknown = {name: Encoding({}, np.nan, None) for name in rows.texts}
    encoded = rows.encoded({**unknown, **ensemble.encodings}, detector.plan.inputs)
    return encoded.only(detector.plan.inputs, ensemble.features)


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


def _input(name: str, at: int, rows: Rows, day: NDArray[np.int64], days: int) -> ReferenceColumn:
    if name in rows.texts:
        texts: Sequence[str | None] = rows.texts[name].texts.tolist()
        column = cut_texts(name, texts)
        return column.counted(column.place_texts(texts), day, days)
    column = cut(name, rows.x[:, at])
    return column.counted(column.place(rows.x[:, at]), day, days)


def _score(name: str, score: NDArray[np.float64], day: NDArray[np.int64], days: int) -> ReferenceColumn:
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
