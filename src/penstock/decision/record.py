"""The ledger record of a decided micro-batch: all the data of its JSON, and nothing else.

Columns of a record of kind `decisions`, n rows:

    x             float64 (n, width)    every numeric column of the layout: fields, features, score, rules
    text:NAME     texts                 every field and feature that is a text
    scores        float64 (n, 1 + m)    the ensemble's probability, then each member's; NaN for none
    action        uint8 (n,)            the value of `messages.Action`
    by            int16 (n,)            the rule that decided, or `kernel.BY_SCORE`, `BY_NOTHING`, `BY_FAILURE`
    degraded      texts                 "part: cause" where something failed; the column is left out where nothing did
    lowered       uint8 (n,)            what was asked for where a rule lowered it, `NO_ACTION` elsewhere; left out if none can
    control       uint8 (n,)            what was let through would have been, `NO_ACTION` elsewhere; left out where nothing is

While a trial runs (`penstock.engine.trials.shadow`) also

    would         uint8 (n, 1 + t)      the champion's action alone, then each candidate's; `NO_ACTION`: failed
    trial_scores  float64 (n, 1 + c)    the champion's probability and each challenger's; left out without challengers
    decided_by    uint8 (n,)            1 where the challenger that has a share decided; `scores` are then its own

`meta` holds `decided_us`, `layout`, `versions` (detector, model, rules), `latency_ms` by stage, and where rows were
explained `explained` (int32 row numbers) and `contributions` (float32, one row each per model feature) as bytes.
`explanations` holds the `explanation` of every row that is no plain approval, as JSON end to end, with the numbers of those
rows and where each one ends (int32): so a decision reads the same when rules, models and words have changed.
`versions.challenger` names the challengers, `trial` the one that decides for a share of the keys, `trial_ms` and
`trial_errors` the time and the error of each candidate.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decision.judge import BatchDecisions
from penstock.decoding import prepared
from penstock.messages import Batch, Record, Versions

T = TypeVar("T")

TEXT = "text:"
"""What the columns of texts begin with, so that a field may be called `action`."""

DECIDED_BY = "decided_by"
"""The column that is 1 where a challenger decided; `trial.version` says which version that is."""

_NONE_KEPT = [b"", b"", b""]


def compose(
    batch: Batch,
    codes: NDArray[np.int64],
    verdicts: BatchDecisions,
    scores: NDArray[np.float64],
    *,
    detector: str,
    first_seq: int,
    decided_us: int,
    layout: str,
    versions: Versions | Mapping[str, str | None],
    latency_ms: dict[str, float],
    degraded: list[str | None] | None = None,
    explained: NDArray[np.int32] | None = None,
    contributions: NDArray[np.float64] | None = None,
) -> Record:
    """The record of a decided micro-batch. It shares the batch's arrays, which must not change any more.

    codes: of the ids. scores: (n, 1 + m). versions: as they are, or as the plain mapping that `versions_of` reads.
    explained, contributions: the rows that were explained, and for each of them how far each model feature moved the score.
    """
    columns: dict[str, Any] = {"x": batch.x, "scores": scores, "action": verdicts.action, "by": verdicts.by}
    for name, texts in batch.texts.items():
        columns[TEXT + name] = as_list(texts)
    if degraded is not None:
        columns["degraded"] = degraded
    if verdicts.lowered is not None:
        columns["lowered"] = verdicts.lowered
    if verdicts.control is not None:
        columns["control"] = verdicts.control
    meta: dict[str, Any] = {
        "decided_us": decided_us,
        "layout": layout,
        "versions": msgspec.to_builtins(versions) if isinstance(versions, Versions) else versions,
        "latency_ms": latency_ms,
    }
    if verdicts.control is not None:
        meta["control_share"] = verdicts.control_share
    if explained is not None and contributions is not None and len(explained):
        meta["explained"] = explained.astype(np.int32).tobytes()
        meta["contributions"] = contributions.astype(np.float32).tobytes()
    return Record("decisions", detector, first_seq, as_list(batch.ids), codes, batch.time_us, batch.arrived_us, columns, meta)


def as_list(texts: Sequence[T]) -> list[T]:
    """The texts of a batch as a record holds them."""
    return texts if isinstance(texts, list) else list(texts)


def contributions_of(record: Record) -> dict[int, list[float]]:
    """The contributions of each row that has any."""
    if "explained" not in record.meta:
        return {}
    rows = np.frombuffer(record.meta["explained"], np.int32)
    values = np.frombuffer(record.meta["contributions"], np.float32).reshape(len(rows), -1)
    return dict(zip(rows.tolist(), values.tolist(), strict=True))


def keep_explanations(record: Record, explanations: Mapping[int, bytes]) -> None:
    """Put the JSON of these rows' explanations into the record, before it goes to the ledger."""
    if not explanations:
        record.meta["explanations"] = _NONE_KEPT
        return
    ends = np.fromiter(accumulate(map(len, explanations.values())), np.int32, len(explanations))
    rows = np.fromiter(explanations, np.int32, len(explanations))
    record.meta["explanations"] = [rows.tobytes(), ends.tobytes(), b"".join(explanations.values())]


def explanations_of(record: Record) -> dict[int, bytes] | None:
    """The explanations that were kept, by row; None where the record keeps none."""
    if "explanations" not in record.meta:
        return None
    rows, ends, data = record.meta["explanations"]
    if not rows:
        return {}
    stops = np.frombuffer(ends, np.int32).tolist()
    pieces = [data[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
    return dict(zip(np.frombuffer(rows, np.int32).tolist(), pieces, strict=True))


def versions_of(record: Record) -> Versions:
    """The versions of everything that took part."""
    return msgspec.convert(record.meta["versions"], prepared(Versions))
