"""The model inputs of a batch, built here for live decisions, replays and training."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.messages import Batch, Layout, Type
from penstock.models import kernels
from penstock.models.categories import Encoding

_UNSEEN = np.nan
"""Of a text input that has no encoding yet: training fits it from the codes themselves."""


class Inputs:
    """The columns that models read, in their order, with texts encoded.

    Args:
        layout: where columns stand.
        features: names of the inputs.
        encodings: how texts become numbers, by name. A text without one is NaN: training gathers rows before it can fit one.

    Raises:
        KeyError: an input is not in the layout.
    """

    def __init__(self, layout: Layout, features: Sequence[str], encodings: Mapping[str, Encoding] | None = None) -> None:
        found = [layout[name] for name in features]
        self.texts = {name: column.index for name, column in zip(features, found, strict=True) if column.type is Type.TEXT}
        """Of every text among the inputs: its column in `Batch.codes`."""
        self._columns = np.array([column.index for column in found], np.int64)
        self._coded = np.array([at for at, column in enumerate(found) if column.type is Type.TEXT], np.int64)
        chosen = [(encodings or {}).get(name) or Encoding({}, _UNSEEN, None) for name in self.texts]
        self._starts = np.cumsum([0, *(len(each.keys) for each in chosen)], dtype=np.int64)
        self._keys = np.concatenate([np.empty(0, np.int64), *(each.keys for each in chosen)])
        self._numbers = np.concatenate([np.empty(0), *(each.numbers for each in chosen)])
        self._unseen = np.array([each.unseen for each in chosen], np.float64)

    def matrix(self, batch: Batch, rows: NDArray[np.int32] | None = None) -> NDArray[np.float64]:
        """float64 (n, k), C-contiguous: one row per event, or per one of `rows`; NaN where a value is missing."""
        chosen = batch.x if rows is None else batch.x[rows]
        out = np.empty((len(chosen), len(self._columns)))
        kernels.pick(np.ascontiguousarray(chosen), self._columns, out)
        if self.texts:
            codes = np.ascontiguousarray(batch.codes if rows is None else batch.codes[rows])
            kernels.encode_columns(
                codes, self._columns, self._coded, self._starts, self._keys, self._numbers, self._unseen, out
            )
        return out
