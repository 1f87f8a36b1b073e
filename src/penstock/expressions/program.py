"""An executable program: instructions for the machine, and its text functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes
from penstock.expressions import machine
from penstock.expressions.members import Members
from penstock.expressions.texts import Column, Values
from penstock.messages import Batch, Type

_NO_AUX = np.empty((0, 0), np.float64)


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A text function whose result the machine loads: column `index` of the auxiliary matrix."""

    index: int
    type: Type
    column: Column

    def fill(self, batch: Batch, aux: NDArray[np.float64]) -> None:
        """Compute the column for all rows."""
        values = self.column(batch.texts, aux.shape[0])
        if self.type is Type.TEXT:
            aux.view(np.int64)[:, self.index] = text_codes(_as_texts(values))
        else:
            aux[:, self.index] = np.array(values, np.float64)  # None becomes NaN


@dataclass(frozen=True, slots=True)
class Arrival:
    """The arrival time of each event, for list membership: column `index` of the auxiliary matrix."""

    index: int

    def fill(self, batch: Batch, aux: NDArray[np.float64]) -> None:
        """Pass on the arrivals of all rows; microseconds, exact in float64 until the year 2255."""
        aux[:, self.index] = batch.arrived_us


@dataclass(frozen=True, slots=True)
class ComputedText:
    """A target column of texts that a text function gives."""

    name: str
    index: int
    column: Column

    def fill(self, batch: Batch) -> None:
        """Compute texts and codes for all rows."""
        texts = _as_texts(self.column(batch.texts, len(batch)))
        batch.texts[self.name] = texts
        batch.codes[:, self.index] = text_codes(texts)


@dataclass(frozen=True, slots=True)
class ChosenText:
    """A target column of texts that the machine chose, by code, among other columns: their texts give its texts.

    reads: the columns whose texts that takes. Where the batch lacks one, only codes are passed on.
    """

    name: str
    index: int
    reads: frozenset[str]
    sources: tuple[Column, ...]

    def fill(self, batch: Batch) -> None:
        """Find the text of every code."""
        if not self.reads <= batch.texts.keys():
            return
        text_of: dict[int, str | None] = {0: None}
        for source in self.sources:
            texts = _as_texts(source(batch.texts, len(batch)))
            text_of.update(zip(text_codes(texts).tolist(), texts, strict=True))
        batch.texts[self.name] = [text_of[code] for code in batch.codes[:, self.index].tolist()]


def _as_texts(values: Values) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


@dataclass(frozen=True, slots=True)
class Stage:
    """Text functions, then the machine, then the texts that the machine chose.

    lists: the slot, among the words, of each list that is asked; the lists themselves stand behind all other words.
    """

    computed: Sequence[ComputedText]
    auxiliaries: Sequence[Auxiliary | Arrival]
    chosen: Sequence[ChosenText]
    code: NDArray[np.int32]
    numbers: NDArray[np.float64]
    words: NDArray[np.int64]
    registers: int
    lists: Mapping[str, int]

    def with_lists(self, lists: Mapping[str, Members]) -> "Stage":
        """The same stage over other lists."""
        if not self.lists:
            return self
        slots = list(self.lists.values())
        own = self.words[: self.words[slots].min() or len(self.words)].copy()
        tables = [lists[name].table for name in self.lists]
        own[slots] = np.cumsum([len(own), *map(len, tables[:-1])])
        return replace(self, words=np.concatenate([own, *tables]))

    def run(self, batch: Batch) -> None:
        """Fill this stage's targets."""
        for target in self.computed:
            target.fill(batch)
        aux = _NO_AUX
        if self.auxiliaries:
            aux = np.empty((len(batch), len(self.auxiliaries)), np.float64)
            for auxiliary in self.auxiliaries:
                auxiliary.fill(batch, aux)
        machine.run_program(self.code, self.numbers, self.words, batch.x, batch.codes, aux, self.registers)
        for chosen in self.chosen:
            chosen.fill(batch)


@dataclass(frozen=True, slots=True)
class Program:
    """Expressions ready to run over micro-batches. It holds no state, so threads may share it.

    texts: the columns whose texts, not only codes, `Batch.texts` must hold (or the program itself puts there).
    """

    stages: tuple[Stage, ...]
    texts: frozenset[str]

    @property
    def instructions(self) -> int:
        """How many instructions the machine runs for each row."""
        return sum(len(stage.code) for stage in self.stages)

    def with_lists(self, lists: Mapping[str, Members]) -> "Program":
        """The same program over other lists: nothing is read or checked again."""
        return replace(self, stages=tuple(stage.with_lists(lists) for stage in self.stages))

    def run(self, batch: Batch) -> None:
        """Fill the target columns for all rows of the batch; targets that are texts go into `batch.texts` too.

        Raises:
            ExpressionError: where a text function reads a column whose texts the batch does not hold.
        """
        for stage in self.stages:
            stage.run(batch)
