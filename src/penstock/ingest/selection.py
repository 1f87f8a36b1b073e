"""Some rows of a batch, and of events as they were read."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from penstock.ingest.reader import ReadEvents
from penstock.messages import Batch


def take(batch: Batch, rows: "slice | NDArray[np.int64]") -> Batch:
    """Some rows of a batch. A slice shares the columns, so that what is computed for it stands in the whole batch."""
    if isinstance(rows, slice):
        ids = batch.ids[rows]
        texts = {name: column[rows] for name, column in batch.texts.items()}
    else:
        chosen = rows.tolist()
        ids = [batch.ids[row] for row in chosen]
        texts = {name: [column[row] for row in chosen] for name, column in batch.texts.items()}
    return Batch(ids, batch.kinds[rows], batch.time_us[rows], batch.arrived_us[rows], batch.x[rows], batch.codes[rows], texts)


def chosen(read: ReadEvents, rows: NDArray[np.intp]) -> ReadEvents:
    """Some of the accepted events, with what belongs to them."""
    fraud, known_us = read.labels
    return replace(
        read,
        batch=take(read.batch, rows),
        rows=read.rows[rows],
        id_codes=read.id_codes[rows],
        labels=(None if fraud is None else fraud[rows], None if known_us is None else known_us[rows]),
        extras=[read.extras[row] for row in rows] if read.extras else [],
    )


def alone(read: ReadEvents, row: int) -> ReadEvents:
    """One accepted event, as if nothing else had been read."""
    return replace(chosen(read, np.array([row])), rows=np.zeros(1, np.int64), refused=[])


def runs(informing: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Rows in order, in stretches that are all informing or all not.

    >>> [rows.tolist() for rows in runs(np.array([False, False, True, False]))]
    [[0, 1], [2], [3]]
    """
    ends = np.flatnonzero(np.diff(informing)) + 1
    return [rows for rows in np.split(np.arange(len(informing)), ends) if len(rows)]
