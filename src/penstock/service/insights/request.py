"""The parsed request of an `/insights` route, and helpers that its answers share."""

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.engine import Engine
from penstock.engine.statistics.distribution import Tally, worth_of
from penstock.engine.statistics.ranges import Range
from penstock.messages import Action
from penstock.service.decide.port import Serving
from penstock.service.http.problems import RequestRefused

_NAMES = [action.name.lower() for action in Action]


class InsightRequest:
    """A request: the engines of the requested detectors, and the range."""

    def __init__(self, among: Sequence[Serving], detector: str | None, range_: Range, cases: Cases | None) -> None:
        self.among, self.range, self.cases = among, range_, cases
        self.engines = [_engine(desk) for desk in among]
        self.now_us = max(engine.clock() for engine in self.engines)
        self.head: dict[str, Any] = {
            "detector": detector,
            "range": range_.name,
            "since": iso(range_.start_us(self.now_us)),
            "until": iso(self.now_us),
            "counted_since": iso(max(engine.totals.spread_since_us for engine in self.engines)),
        }

    @property
    def single(self) -> Engine | None:
        """The engine, where there is only one."""
        return self.engines[0] if len(self.engines) == 1 else None

    def spread(self) -> Tally:
        """The distributions of all engines together."""
        whole = Tally()
        for engine in self.engines:
            whole.plus(engine.totals.spread(self.range))
        return whole


def _engine(desk: Serving) -> Engine:
    if not isinstance(desk.engine, Engine):
        raise RequestRefused(422, f"detector {desk.name!r} keeps nothing here that could be counted")
    return desk.engine


def outcomes(counts: Any, form: type[msgspec.Struct], **more: Any) -> Any:
    """Counts by outcome, in the given form."""
    return form(**dict(zip(_NAMES, (int(n) for n in counts), strict=True)), **more)


def currencies_of(engines: Sequence[Engine]) -> set[str | None]:
    """The currencies of detectors that declare an amount; None for one without a currency."""
    return {currency for worth, currency in (worth_of(engine.detector) for engine in engines) if worth is not None}


def currency_of(engines: Sequence[Engine]) -> str | None:
    """The common currency, if all declare the same."""
    found = currencies_of(engines)
    return found.pop() if len(found) == 1 else None
