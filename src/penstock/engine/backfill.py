"""Backfill of a run-time feature: a second state is filled from the log, then replaces the serving state.

`FeatureBackfill.run` reads the log up to its last few records, in any thread. `Engine.activate_features` reads those few and
swaps the state in, in the thread that decides, between two batches: at one position of the log.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from penstock.clock import EVER_US, iso
from penstock.decision import TEXT
from penstock.detector import Detector
from penstock.engine.pipeline import Pipeline
from penstock.engine.rebuild import ENTERED, Rebuild
from penstock.errors import CapacityError, LedgerError
from penstock.features import Aggregate
from penstock.features.definitions import Added
from penstock.ledger import Ledger
from penstock.messages import Record

_FEW = 8
"""Maximum number of records left for the swap, which takes a few milliseconds then."""

_POLITE_ROUNDS = 3
"""For this many passes it sleeps as long as it works, to leave CPU to deciding; after that it runs at full speed."""


class Coverage(NamedTuple):
    """The history that a feature covers. since_us: the event time of the first event that it could count, None where there was
    none at all. whole_us: from this event time on its windows lie within that; None where they reach back for ever.
    late: fields that older events were recorded without, with the time from which on they were.
    """

    name: str
    since_us: int | None
    whole_us: int | None
    late: tuple[tuple[str, int], ...] = ()

    @property
    def sentence(self) -> str:
        """The coverage as one sentence."""
        if self.since_us is None:
            return "whole: it was there before the first event"
        text = f"counts events since {iso(self.since_us)}"
        if self.whole_us is not None:
            text = f"whole from {iso(self.whole_us)} on: the log reaches back to {iso(self.since_us)}"
        fields = ", ".join(f"{field} since {iso(us)}" for field, us in self.late)
        return f"{text}; recorded only later: {fields}" if fields else text


class FeatureBackfill:
    """The backfill of another version of an engine's detector.

    Args:
        serving: decides meanwhile.
        ledger: holds what it has decided.
        added: the features that are made at run time, all of them.

    Raises:
        DeclarationError: they cannot work with the rules in force.
        BundleError: the models that decide read one that would be gone, or would mean something else.
        CapacityError: there is no room for two states.
    """

    def __init__(self, serving: Pipeline, ledger: Ledger, added: Sequence[Added]) -> None:
        self.added = tuple(added)
        detector = serving.detector.with_features(added)
        limit, used = serving.state.memory_limit, serving.state.used_bytes
        if limit is not None and 2 * used > limit:
            raise CapacityError(
                f"two states live at once while features are filled, and the present one takes {used / 2**20:,.0f} MiB of "
                f"{limit / 2**20:,.0f}; set memory_limit_gb to at least {2.5 * used / 2**30:.2g}, or declare them in the "
                "detector's file and restart"
            )
        self.pipeline = Pipeline(detector, serving.ensemble, memory_limit=None if limit is None else limit - used)
        self._ledger = ledger
        self._rebuilding = Rebuild(self.pipeline, ledger)
        self._position = ledger.first_position
        self._next_seq = next((record.first_seq for _, record in ledger.read(self._position)), 0)
        self._needed = {each.name: fields_of(detector, each.name) for each in added}
        self._since: dict[str, int | None] = dict.fromkeys(set().union(*self._needed.values()) if added else ())
        self._late: set[str] = set()
        self._first_us: int | None = None

    def run(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Read the log until few records are left, or until stopped. Runs in any thread while the engine decides.

        Raises:
            CapacityError: the memory that is left does not do.
            LedgerDamaged: a record does not fit its checksum.
        """
        rounds = 0
        while self._ledger.durable_position - self._position > _FEW or not rounds:
            for position, record in self._ledger.read(self._position):
                if stopped():
                    return
                begun = time.perf_counter()
                self._take(record)
                self._position = position + 1
                if rounds < _POLITE_ROUNDS:
                    time.sleep(time.perf_counter() - begun)
            rounds += 1

    def finish(self) -> Pipeline:
        """The filled pipeline, after reading the remaining records. Call it in the engine's thread.

        Raises:
            LedgerError: a record that is on its way cannot be had.
        """
        while self._next_seq < self._ledger.next_seq:
            found = self._ledger.record_of(self._next_seq)
            if found is None:
                raise LedgerError(f"row {self._next_seq} of the log cannot be read; the features are filled anew")
            self._take(found[0])
        return self.pipeline

    def _take(self, record: Record) -> None:
        self._next_seq = record.first_seq + len(record)
        if record.detector != self.pipeline.detector.name:
            return
        if record.kind in ENTERED and len(record):
            self._note(record)
        self._rebuilding.apply(record)
        state, limit = self.pipeline.state, self.pipeline.state.memory_limit
        if limit is not None and state.used_bytes > limit:
            raise CapacityError(
                f"the features that are filled take more than the {limit / 2**20:,.0f} MiB that the present state leaves; "
                "raise memory_limit_gb, or declare them in the detector's file and restart"
            )

    def _note(self, record: Record) -> None:
        """The needed fields that are recorded, and since when."""
        first_us = int(record.time_us.min())
        if self._first_us is None:
            self._first_us = first_us
        names = self._rebuilding.names_of(record)
        for field, since in self._since.items():
            if not (names is None or field in names or TEXT + field in record.columns):
                self._late.add(field)
                self._since[field] = None
            elif since is None:
                self._since[field] = first_us

    @property
    def reaches(self) -> list[Coverage]:
        """The coverage of each feature."""
        return [self._reach(each.name, fields) for each, fields in zip(self.added, self._needed.values(), strict=True)]

    def _reach(self, name: str, fields: frozenset[str]) -> Coverage:
        if self._first_us is None:
            return Coverage(name, None, None)
        late = tuple(sorted((field, self._since[field] or 0) for field in fields & self._late if self._since[field]))
        since_us = max([self._first_us, *(us for _, us in late)])
        back_us = reaches_back_us(self.pipeline.detector, name)
        return Coverage(name, since_us, None if back_us >= EVER_US else since_us + back_us, late)


def fields_of(detector: Detector, name: str) -> frozenset[str]:
    """The event fields that a feature needs, directly or through other features."""
    schema, features = detector.schema.columns, {feature.name: feature for feature in detector.features}
    found: set[str] = set()
    waiting, seen = [name], set[str]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        if each in schema:
            found.add(each)
        elif each in features:
            waiting += detector.reads_of(features[each])
    return frozenset(found)


def reaches_back_us(detector: Detector, name: str) -> int:
    """How far back a feature looks, directly or through other features; at most `EVER_US`."""
    features: dict[str, Any] = {feature.name: feature for feature in detector.features}
    feature = features.get(name)
    if feature is None:
        return 0
    own = feature.reach_us if isinstance(feature, Aggregate) else 0
    return min(EVER_US, own + max((reaches_back_us(detector, each) for each in detector.reads_of(feature)), default=0))
