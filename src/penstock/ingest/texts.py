"""Lazily read text columns of recorded events."""

from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

import polars as pl

T = TypeVar("T", str, str | None)


class SeriesTexts(Sequence[T]):
    """A column of texts that become Python's only where they are looked at: of most of them codes are enough.

    >>> texts = SeriesTexts(pl.Series(["a", None, "b"]))
    >>> texts[2], len(texts[1:]), list(texts)
    ('b', 2, ['a', None, 'b'])
    """

    __slots__ = ("_texts", "series")

    def __init__(self, series: pl.Series) -> None:
        self.series = series
        self._texts: list[T] | None = None

    def __len__(self) -> int:
        return len(self.series)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> "SeriesTexts[T]": ...
    def __getitem__(self, at: int | slice) -> "T | SeriesTexts[T]":
        return SeriesTexts(self.series[at]) if isinstance(at, slice) else self._read()[at]

    def __iter__(self) -> Iterator[T]:
        return iter(self._read())

    def _read(self) -> list[T]:
        if self._texts is None:
            self._texts = self.series.to_list()
        return self._texts
