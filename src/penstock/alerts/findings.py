"""Findings of each kind of alert rule in a record, before throttling."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.alerts.alert import AlertValue
from penstock.alerts.columns import RecordColumns
from penstock.alerts.rule import Burst, Condition, RateRule, fields_of
from penstock.alerts.windows import DistinctWindow, Groups, MatchWindow, Shares
from penstock.wording import plain


@dataclass(frozen=True, slots=True)
class AlertMatch:
    """A match of a rule. row: the one that raised it. about: the entity's key. figures: what the rule counted."""

    row: int
    about: tuple[Any, ...] = ()
    figures: dict[str, AlertValue] = field(default_factory=dict)


class Finder(Protocol):
    """Finds the matches of one rule. per: the fields of the entity that findings are about."""

    @property
    def per(self) -> tuple[str, ...]:
        """The fields of the entity."""

    def find(self, columns: RecordColumns, rows: NDArray[np.intp], time_us: NDArray[np.int64]) -> Iterator[AlertMatch]:
        """The findings among the rows for which the rule's condition is true; time_us: of all rows."""

    def state(self) -> Any:
        """The state for a snapshot."""

    def restore(self, state: Any) -> None:
        """Restore a snapshot."""


class EachDecision:
    """Finds every decision for which the condition is true."""

    per: tuple[str, ...]

    def __init__(self, rule: Condition) -> None:
        self.per = fields_of(rule.per)

    def find(self, columns: RecordColumns, rows: NDArray[np.intp], time_us: NDArray[np.int64]) -> Iterator[AlertMatch]:  # noqa: ARG002
        """One finding for each row."""
        chosen = rows.tolist()
        keys = columns.keys(self.per, chosen) if self.per else [()] * len(chosen)
        for row, key in zip(chosen, keys, strict=True):
            yield AlertMatch(row, key)

    def state(self) -> Any:
        """None: it has no state."""
        return None

    def restore(self, state: Any) -> None:
        """None: it has no state."""


class Bursts:
    """Finds more than a limit of matches within a window, of one entity or of all."""

    per: tuple[str, ...]

    def __init__(self, rule: Burst) -> None:
        self.per = fields_of(rule.per)
        self._distinct = rule.distinct
        self._groups = Groups(DistinctWindow if rule.distinct else MatchWindow, rule.us("within"), rule.more_than)

    def find(self, columns: RecordColumns, rows: NDArray[np.intp], time_us: NDArray[np.int64]) -> Iterator[AlertMatch]:
        """A finding for each row after which there are more than the limit."""
        chosen = rows.tolist()
        keys = columns.keys(self.per, chosen) if self.per else [()] * len(chosen)
        values: Sequence[Any] = [None] * len(chosen)
        if self._distinct is not None:
            values = [value for (value,) in columns.keys([self._distinct], chosen)]
        add = self._groups.add
        for row, key, time, value in zip(chosen, keys, time_us[rows].tolist(), values, strict=True):
            if None not in key and add(key, time, value):
                yield AlertMatch(row, key)

    def state(self) -> Any:
        """The windows."""
        return self._groups.state()

    def restore(self, state: Any) -> None:
        """Restore a snapshot."""
        self._groups.restore(state)


class Shifts:
    """Finds a share above its reference, or above a limit."""

    per: tuple[str, ...] = ()

    def __init__(self, rule: RateRule) -> None:
        self._rule = rule
        self._shares = Shares(rule.us("within"), rule.us("reference"))

    def find(self, columns: RecordColumns, rows: NDArray[np.intp], time_us: NDArray[np.int64]) -> Iterator[AlertMatch]:  # noqa: ARG002
        """A finding for each matching row after which the share is too high."""
        if not len(time_us):
            return
        panes = time_us // self._shares.pane_us
        starts = [0, *(np.flatnonzero(panes[1:] != panes[:-1]) + 1).tolist()]
        chosen, first = rows.tolist(), 0
        for pane, start, stop in zip(panes[starts].tolist(), starts, [*starts[1:], len(panes)], strict=True):
            last = bisect.bisect_left(chosen, stop, first)
            yield from self._stretch(pane, start, stop, chosen[first:last])
            first = last

    def _stretch(self, pane: int, start: int, stop: int, chosen: Sequence[int]) -> Iterator[AlertMatch]:
        """Count the rows of one pane, up to each match and then to the end."""
        shares, counted = self._shares, start
        shares.advance(pane)
        if chosen and shares.window[1] + len(chosen) >= self._rule.least:
            for row in chosen:
                shares.add(pane, total=row + 1 - counted, hits=1)
                counted = row + 1
                found = self._too_high()
                if found is not None:
                    yield AlertMatch(row, (), found)
            chosen = ()
        shares.add(pane, total=stop - counted, hits=len(chosen))

    def _too_high(self) -> dict[str, AlertValue] | None:
        (total, hits), (before, hits_before) = self._shares.window, self._shares.reference
        if hits < self._rule.least:
            return None
        share = hits / total
        usual = hits_before / before if before else None
        figures: dict[str, AlertValue] = {"share": share, "usual_share": usual, "count": hits, "of": total}
        if self._rule.above is not None:
            return figures if share > self._rule.above else None
        known = usual is not None and before >= total  # a reference shorter than the window is no reference
        return figures if known and share > (self._rule.times or 0.0) * (usual or 0.0) else None

    def state(self) -> Any:
        """The panes."""
        return self._shares.state()

    def restore(self, state: Any) -> None:
        """Restore a snapshot."""
        self._shares.restore(state)


def said_key(key: Sequence[Any]) -> str:
    """An entity's key as people write it."""
    return "|".join(plain(value) for value in key)
