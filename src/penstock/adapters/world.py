"""An endless simulated town for demos, on the machine's clock.

Its people have paid for a month before, a few thousand times a day: that history ends now and is to be decided first.
From then on every event is stamped with the instant at which it is handed out. A demo shows more payments a second than
there were in the month, so its people pay more often than in their history; they go to more shops than elsewhere, so that no
shop is crowded. Labels of the history become known when they would in reality, later ones 288 times sooner.
"""

import heapq
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import polars as pl

from penstock.clock import Clock, from_us, iso, system_clock, to_us
from penstock.offline.simulate import Profile, Simulator, all_attacks, submitted

PEOPLE = 25_000
HISTORY = timedelta(days=30)
PAYMENTS_A_DAY = 1500
"""Of the history."""

FRAUD_RATE = 0.01
TPS = 5.0
"""Payments a second, unless told otherwise."""

_SEED = 1
_PEOPLE_PER_MERCHANT = 0.3
_ATTACK_WITHIN_S = 30.0
_LABELS_SOONER = 288  # a day takes five minutes
_MOST_APART = timedelta(hours=6)  # between the rhythm of the town and the machine's clock

OnLabel = Callable[[bytes], None]
"""Given one label as JSON, as `POST /labels` takes it."""


@dataclass(frozen=True)
class WorldProgress:
    """The progress of a town: its seed, the instant reached, and when its history began, as ISO 8601.

    began: None for towns of version 0.1, which had no decided history.
    """

    seed: int
    reached: str
    began: str | None = None


class LiveWorld:
    """An endless source of events and labels; may be read from several threads, and attacked from another.

    tps: how many payments a second will be taken. attack: the only kind of attack that takes place; None for all.
    """

    def __init__(self, profile: Profile, *, tps: float = TPS, attack: str | None = None, clock: Clock = system_clock) -> None:
        self.profile = profile
        self._attack = attack
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: list[tuple[int, str, bool]] = []
        self._town = replace(profile, people_per_merchant=_PEOPLE_PER_MERCHANT)
        self._tps = tps or TPS
        self._busy = replace(self._town, per_day=self._tps * 86_400 / PEOPLE)
        self._quiet = replace(self._town, per_day=min(profile.per_day, PAYMENTS_A_DAY / PEOPLE))
        self._simulator = self._from_now()

    def history(self, since: datetime | None = None) -> pl.DataFrame:
        """What the people of this town paid in the last month, with labels.

        since: nothing before this instant.
        """
        now = from_us(self._clock())
        start = now - HISTORY if since is None else max(since, now - HISTORY)
        simulator = self._simulated(self._quiet, start)
        frames = [simulator.batch(1)]
        while simulator.now < now:
            left = (now - simulator.now) / timedelta(days=1)
            frames.append(simulator.batch(round(left * PEOPLE * self._quiet.per_day) + 100))
        return pl.concat(frames).filter(pl.col("arrived_at") < now)

    @property
    def place(self) -> WorldProgress:
        """Up to now."""
        return WorldProgress(_SEED, iso(self._clock()))

    def bodies(self, on_label: OnLabel, *, at_once: int = 16) -> Iterator[bytes]:
        """Events as JSON, without end, made so many at once: an attack that is begun shows after those."""
        for frame in self.frames(at_once=at_once):
            self._note_labels(frame)
            for event in submitted(self.profile, frame):
                self._tell_labels(on_label)
                yield msgspec.json.encode(event)

    def frames(self, *, at_once: int = 16) -> Iterator[pl.DataFrame]:
        """Stretches of the same events, without end, for a second reader; no labels follow them."""
        while True:
            with self._lock:
                frame = self._simulator.paced(at_once, self._clock, self._tps)
                if abs(self._simulator.now - from_us(self._clock())) > _MOST_APART:
                    self._simulator = self._from_now()
            yield frame

    def attacks(self) -> dict[str, Callable[[], list[str]]]:
        """Each attack of the profile, as something to call; it tells the ids of its payments."""

        def beginning(name: str) -> Callable[[], list[str]]:
            return lambda: self.begin(name)

        return {name: beginning(name) for name in all_attacks(self.profile)}

    def begin(self, name: str) -> list[str]:
        """Begin an attack now; the ids of its payments, which come among those of others within half a minute.

        Raises:
            ConfigurationError: there is no attack of this name.
        """
        with self._lock:
            return self._simulator.attack(name, within_s=_ATTACK_WITHIN_S)

    def _from_now(self) -> Simulator:
        return self._simulated(self._busy, from_us(self._clock()))

    def _simulated(self, profile: Profile, start: datetime) -> Simulator:
        only = None if self._attack is None else [self._attack]
        return Simulator(profile, seed=_SEED, start=start, people=PEOPLE, fraud_rate=FRAUD_RATE, attacks=only)

    def _note_labels(self, frame: pl.DataFrame) -> None:
        """Note what will be known of these events, sooner than in life."""
        profile = self.profile
        for row in frame.filter(pl.col("label_known_at").is_not_null()).iter_rows(named=True):
            known_at = row[profile.time] + (row["label_known_at"] - row[profile.time]) / _LABELS_SOONER
            heapq.heappush(self._pending, (to_us(known_at), row[profile.id], row[profile.label]))

    def _tell_labels(self, on_label: OnLabel) -> None:
        """Send what is known now."""
        now_us = self._clock()
        while self._pending and self._pending[0][0] <= now_us:
            known_us, name, fraud = heapq.heappop(self._pending)
            on_label(
                msgspec.json.encode({"transaction_id": name, "fraud": fraud, "known_at": iso(known_us), "source": "simulated"})
            )
