"""Simulated traffic as a frame, as lines, or as items to send to a service."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import polars as pl

from penstock.adapters.recorded import items
from penstock.adapters.traffic import Item
from penstock.clock import Clock, from_us, system_clock
from penstock.offline.simulate import EXTRA, Profile, Simulator, simulate, submitted

_CHUNK = 1000
_LIVE_CHUNK = 50  # few, so that an event is made shortly before it is due
_DEFAULT_EVENTS = 10_000


@dataclass(frozen=True)
class Simulation:
    """The options of `penstock simulate`.

    events: how many; None is without end. tps: simulated time passes as real time does, with so many events a second; each
    is stamped with the instant at which it is sent, unless a start is given.
    """

    profile: Profile
    events: int | None
    tps: float | None = None
    fraud_rate: float = 0.01
    attacks: Sequence[str] = ()
    seed: int = 0
    days: float = 30.0
    start: datetime | None = None
    clock: Clock = system_clock

    def frame(self) -> pl.DataFrame:
        """All of it, with labels and everything else that is known only later."""
        return simulate(
            self.profile,
            events=self.events or _DEFAULT_EVENTS,
            seed=self.seed,
            start=self._start,
            fraud_rate=self.fraud_rate,
            attacks=self.attacks or None,
            days=self.days,
        )

    def lines(self) -> Iterator[bytes]:
        """One JSON object per event, as a payer would submit it."""
        for frame in self.frames():
            yield from map(msgspec.json.encode, submitted(self.profile, frame))

    def items(self) -> Iterator[Item]:
        """Events, and labels when they become known, for a service."""
        profile = self.profile
        return items(self.frames(), id=profile.id, time=profile.time, label=profile.label, drop=EXTRA)

    @property
    def _start(self) -> datetime | None:
        if self.start is not None:
            return self.start.replace(tzinfo=self.start.tzinfo or UTC)
        return from_us(self.clock()) if self.tps else None

    def frames(self) -> Iterator[pl.DataFrame]:
        """The events in portions; at a pace, each when it is due."""
        if self.tps is None:
            yield from self.frame().iter_slices(_CHUNK)
            return
        simulator = Simulator(
            self.profile,
            seed=self.seed,
            start=self._start or from_us(self.clock()),
            per_second=self.tps,
            fraud_rate=self.fraud_rate,
            attacks=self.attacks or None,
        )
        left = self.events
        while left is None or left > 0:
            size = _LIVE_CHUNK if left is None else min(_LIVE_CHUNK, left)
            yield simulator.batch(size) if self.start else simulator.paced(size, self.clock, self.tps)
            left = None if left is None else left - size
