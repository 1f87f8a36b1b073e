"""A simulated world that goes on for as long as a demo runs.

A demo shows more payments a second than its few thousand people make, so simulated time passes faster than real time.
It therefore begins two years back; where it catches up with the present, a new world begins two years back again.
Labels come out beside the events, at the simulated instant at which they become known.
"""

import heapq
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import polars as pl

from penstock.clock import Clock, from_us, iso, system_clock, to_us
from penstock.offline.simulate import Profile, Simulator, attack_shares, submitted

PEOPLE = 2500
HISTORY_DAYS = 60
BACK = timedelta(days=730)
FRAUD_RATE = 0.01

OnLabel = Callable[[bytes], None]
"""Given one label as JSON, as `POST /labels` takes it."""


@dataclass(frozen=True)
class Place:
    """Where a world has got to: its seed, and the simulated instant, as ISO 8601."""

    seed: int
    reached: str


class LiveWorld:
    """Events and labels without end; may be asked from one thread and attacked from another.

    attacks: the only kinds of attack that take place; None for all. at: where to go on; None begins with history.
    """

    def __init__(
        self, profile: Profile, *, at: Place | None = None, attack: str | None = None, clock: Clock = system_clock
    ) -> None:
        self.profile = profile
        self._attack = attack
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: list[tuple[int, str, bool]] = []
        start = from_us(clock()) - BACK if at is None else datetime.fromisoformat(at.reached)
        self._seed = 1 if at is None else at.seed
        self._simulator = self._world(start)

    def history(self) -> pl.DataFrame:
        """The first days of this world, with labels: to train on, and to warm the state from."""
        return self._simulator.batch(round(HISTORY_DAYS * PEOPLE * self.profile.per_day))

    @property
    def place(self) -> Place:
        """Where it has got to: given to a new world, that one goes on from here."""
        return Place(self._seed, iso(to_us(self._simulator.now)))

    def bodies(self, on_label: OnLabel, *, at_once: int = 16) -> Iterator[bytes]:
        """Events as JSON, without end, made so many at once: an attack that is begun shows after those."""
        for frame in self.frames(at_once=at_once):
            self._note_labels(frame, on_label)
            yield from map(msgspec.json.encode, submitted(self.profile, frame))

    def frames(self, *, at_once: int = 16) -> Iterator[pl.DataFrame]:
        """Stretches of the same events, without end, for somebody else than who asks for `bodies`; no labels follow them."""
        while True:
            with self._lock:
                frame = self._simulator.batch(at_once)
                self._begin_again()
            yield frame

    def attacks(self) -> dict[str, Callable[[], list[str]]]:
        """Each attack of the profile, as something to call; it tells the ids of its payments."""

        def beginning(name: str) -> Callable[[], list[str]]:
            return lambda: self.begin(name)

        return {name: beginning(name) for name in attack_shares(self.profile, None)}

    def begin(self, name: str) -> list[str]:
        """Begin an attack now; the ids of its payments, which come among those of others.

        Raises:
            ConfigurationError: there is no attack of this name.
        """
        with self._lock:
            return self._simulator.attack(name)

    def _world(self, start: datetime) -> Simulator:
        only = None if self._attack is None else [self._attack]
        return Simulator(self.profile, seed=self._seed, start=start, people=PEOPLE, fraud_rate=FRAUD_RATE, attacks=only)

    def _begin_again(self) -> None:
        now = from_us(self._clock())
        if self._simulator.now > now - timedelta(days=1):
            self._seed += 1
            self._simulator = self._world(now - BACK)
            self._pending.clear()

    def _note_labels(self, frame: pl.DataFrame, on_label: OnLabel) -> None:
        label = self.profile.label
        for row in frame.filter(pl.col("label_known_at").is_not_null()).iter_rows(named=True):
            heapq.heappush(self._pending, (to_us(row["label_known_at"]), row[self.profile.id], row[label]))
        reached = to_us(self._simulator.now)
        while self._pending and self._pending[0][0] <= reached:
            known_us, name, fraud = heapq.heappop(self._pending)
            on_label(
                msgspec.json.encode({"transaction_id": name, "fraud": fraud, "known_at": iso(known_us), "source": "simulated"})
            )
