"""Labels in recorded events: the verdict, and when it became known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.ingest.kernel import NULL, READ
from penstock.ingest.schema import Schema
from penstock.ingest.times import instants

UNKNOWN_TIME = -1
"""Where the data does not say when a label became known."""

Labels = tuple[NDArray[np.float64] | None, NDArray[np.int64] | None]


def labels_of(schema: Schema, events: Sequence[Mapping[str, Any]]) -> Labels:
    """The labels of events from Python; (None, None) where no event has one."""
    label = schema.label
    if label is None or not any(event.get(label) is not None for event in events):
        return None, None
    fraud = np.array([_fraud(event.get(label)) for event in events], np.float64)
    if schema.label_time is None:
        return fraud, None
    known_us, state = instants([event.get(schema.label_time) for event in events], schema.naive_times)
    fraud[(state != READ) & (state != NULL)] = np.nan  # said by nobody knows when
    return fraud, np.where(state == READ, known_us, UNKNOWN_TIME)


def _fraud(value: Any) -> float:
    """1.0, 0.0, or NaN for any other value."""
    return float(value) if isinstance(value, int | float | np.bool_ | np.number) and value in (0, 1) else np.nan
