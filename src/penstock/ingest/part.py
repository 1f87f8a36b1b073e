"""Parts: events of one type as a batch, and their merging into the batch that is decided."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes
from penstock.messages import Batch

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class TypedBatch:
    """Events of one type as a batch of their own; ids are empty where one is to be made.

    id_codes: of the ids that are not empty. bad: events that do not fit after all, where there are any.
    """

    batch: Batch
    id_codes: NDArray[np.int64]
    bad: Mask | None = None

    def spoil(self, where: Mask) -> None:
        """Mark events that do not fit."""
        if where.any():
            self.bad = where if self.bad is None else self.bad | where


def fill(part: TypedBatch, made: list[str]) -> None:
    """Give the events without an id these."""
    ids = list(part.batch.ids)
    places = [row for row, name in enumerate(ids) if not name]
    for row, name in zip(places, made, strict=True):
        ids[row] = name
    part.batch.ids = ids
    part.id_codes[places] = text_codes(made)


def kept(positions: NDArray[np.int64], part: TypedBatch) -> tuple[NDArray[np.int64], TypedBatch]:
    """The events that fit."""
    if part.bad is None:
        return positions, part
    good = np.flatnonzero(~part.bad)
    return positions[good], _chosen(part, good)


def _chosen(part: TypedBatch, rows: NDArray[np.int64]) -> TypedBatch:
    """Some rows of a part, in the order given."""
    batch, at = part.batch, rows.tolist()
    texts: dict[str, Sequence[str | None]] = {name: [column[i] for i in at] for name, column in batch.texts.items()}
    ids, stamps = [batch.ids[i] for i in at], (batch.time_us[rows], batch.arrived_us[rows])
    return TypedBatch(Batch(ids, batch.kinds[rows], *stamps, batch.x[rows], batch.codes[rows], texts), part.id_codes[rows])


def joined(parts: list[tuple[NDArray[np.int64], TypedBatch]]) -> TypedBatch:
    """Parts of several types as one, in the order of their positions."""
    if len(parts) == 1:
        return parts[0][1]
    batches = [part.batch for _, part in parts]
    texts: dict[str, Sequence[str | None]] = {
        name: [text for batch in batches for text in batch.texts[name]] for name in batches[0].texts
    }
    whole = Batch(
        [name for batch in batches for name in batch.ids],
        np.concatenate([batch.kinds for batch in batches]),
        np.concatenate([batch.time_us for batch in batches]),
        np.concatenate([batch.arrived_us for batch in batches]),
        np.concatenate([batch.x for batch in batches]),
        np.concatenate([batch.codes for batch in batches]),
        texts,
    )
    id_codes = np.concatenate([part.id_codes for _, part in parts])
    return _chosen(TypedBatch(whole, id_codes), np.argsort(np.concatenate([positions for positions, _ in parts])))
