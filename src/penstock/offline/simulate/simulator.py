"""The simulator: traffic of a world as one frame, or as an endless sequence of chunks."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from penstock.clock import SECOND_US, Clock, to_us
from penstock.errors import ConfigurationError
from penstock.offline.simulate import attacks as attack_modules
from penstock.offline.simulate.chance import Chance, Numbers
from penstock.offline.simulate.payments import Payments, joined, payments
from penstock.offline.simulate.people import MOST_RESIDENTS
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.traffic import Traffic, all_attacks
from penstock.offline.simulate.world import World

_DAYS = 30
_FEWEST_PEOPLE = 50
_TRANSIT_MEAN_US = 150_000
_LATE_MEAN_US = 40 * 60 * SECOND_US

EXTRA = ("label_known_at", "arrived_at", "attack")
"""Columns that every simulated frame has in addition to the event's own and the label: when the label becomes known (null:
never), when the event arrived, and the attack that made it (null: honest; the truth, whatever was reported)."""


class Simulator:
    """Goes on for ever: each `batch` continues where the last one ended, in order of arrival.

    profile: the detector's. seed: the same seed and arguments give the same bytes. start: the first instant.
    people: how many live in this world; with `per_second` instead, as many as pay that often, so that simulated time
    passes as fast as real time. fraud_rate: share of payments that are frauds. attacks: names, None for all.
    jitter_s: standard deviation of the payers' clocks. late_share: payments that arrive much later than they happened.

    >>> from penstock.detectors.banking.profile import profile
    >>> simulator = Simulator(profile, seed=1, start=datetime(2026, 1, 1, tzinfo=UTC), people=500)
    >>> simulator.batch(3).columns[:2]
    ['transaction_id', 'timestamp']
    """

    def __init__(
        self,
        profile: Profile,
        *,
        seed: int = 0,
        start: datetime,
        people: int = 10_000,
        per_second: float | None = None,
        fraud_rate: float = 0.01,
        attacks: Sequence[str] | None = None,
        jitter_s: float = 0.0,
        late_share: float = 0.0,
    ) -> None:
        if not 0.0 <= fraud_rate < 1.0:
            raise ConfigurationError(
                f"fraud rate {fraud_rate} is not a share; write for example 0.01 for one payment in a hundred"
            )
        if start.tzinfo is None:
            raise ConfigurationError(f"start {start.isoformat()} has no time zone; add one, for example +00:00")
        if per_second is not None:
            people = round(per_second * DAY_US / SECOND_US / profile.per_day)
        if people > MOST_RESIDENTS:
            raise ConfigurationError(
                f"{people:,} people are more than the {MOST_RESIDENTS:,} a world holds; ask for fewer people or a slower pace"
            )
        self.profile = profile
        residents = max(int(people), _FEWEST_PEOPLE)
        self.world = World(profile, seed=seed, start_us=to_us(start), residents=residents)
        self._traffic = Traffic(self.world, fraud_rate=fraud_rate, attacks=attacks)
        self._jitter_s, self._late_share = jitter_s, late_share
        self._chance = Chance(seed)
        origin = np.array([to_us(start)])
        self._prefix = f"{int(self._chance.words('ids of ' + profile.name, origin)[0]) >> 40:06x}"
        self._slice, self._turn = 0, 0
        self._waiting = self._ready = payments(0)
        self._now_us = to_us(start)

    @property
    def now(self) -> datetime:
        """The simulated instant that the last batch reached."""
        return datetime.fromtimestamp(self._now_us / SECOND_US, UTC)

    def batch(self, n: int, *, sent_us: Numbers | None = None) -> pl.DataFrame:
        """The next n events: the event's columns, the label's, and EXTRA.

        sent_us: the time stamps they get, one each, in place of their own: those of a sender that keeps to a pace. The
        rhythm of a day goes on as it would, sooner by night and later by day.
        """
        taken, have = [], 0
        while have < n:
            if not len(self._ready):
                self._advance()
            part, self._ready = self._ready[: n - have], self._ready[n - have :]
            taken.append(part)
            have += len(part)
        stretch = joined(taken)
        if n:
            self._now_us = int(stretch["arrived_us"][-1])
        if sent_us is not None:
            stretch["known_us"] += np.where(stretch["reported"], sent_us - stretch["stamp_us"], 0)
            stretch["stamp_us"] = stretch["arrived_us"] = sent_us
        return self.frame(stretch)

    def paced(self, n: int, clock: Clock, per_second: float) -> pl.DataFrame:
        """The next n events, stamped from now on at this pace."""
        return self.batch(n, sent_us=clock() // 1000 * 1000 + (np.arange(n) * (1000 / per_second)).astype(np.int64) * 1000)

    def chunks(self, n: int = 256) -> Iterator[list[dict[str, Any]]]:
        """Without end, lists of n events as they would be submitted: JSON-ready, without anything known only later."""
        while True:
            yield submitted(self.profile, self.batch(n))

    def attack(self, name: str, strength: float = 0.8, *, within_s: float | None = None) -> list[str]:
        """Begin an attack now; its events come with the next batches. Returns the ids of those that are frauds.

        within_s: a longer attack is told faster, so that it lasts so many seconds.

        Raises:
            ConfigurationError: an attack that does not exist.
        """
        known = all_attacks(self.profile)
        if name not in known:
            raise ConfigurationError(f"there is no attack {name!r} on {self.profile.name}; known: {', '.join(known)}")
        attack = self._traffic.attack(name, self._now_us, self._turn, strength)
        after_us = attack["time_us"] - self._now_us
        if within_s is not None and after_us.max(initial=0) > within_s * SECOND_US:
            attack["time_us"] = self._now_us + (after_us * (within_s * SECOND_US / after_us.max())).astype(np.int64)
        made = self._sent(attack)
        self._turn += 1
        self._waiting = joined([self._waiting, made])
        self._give_out(self._waiting_until_us)
        return self._ids(made["number"][made["attack"] >= 0]).to_list()

    # ------------------------------------------------------------ slices become a stream

    @property
    def _waiting_until_us(self) -> int:
        return self.world.start_us + self._slice * self._traffic.slice_us

    def _advance(self) -> None:
        made = self._sent(self._traffic.slice(self._slice))
        self._slice += 1
        self._waiting = joined([self._waiting, made])
        self._give_out(self._waiting_until_us)

    def _give_out(self, until_us: int) -> None:
        """Release what has arrived before `until_us`; nothing made later can arrive before that."""
        arrived = self._waiting["arrived_us"] < until_us
        ready = joined([self._ready, self._waiting[arrived]])
        self._waiting = self._waiting[~arrived]
        self._ready = ready[np.lexsort((ready["number"], ready["arrived_us"]))]

    def _sent(self, made: Payments) -> Payments:
        """Give each payment its time stamp and its arrival."""
        number, chance = made["number"], self._chance
        stamp_us = made["time_us"] + (self._jitter_s * SECOND_US * chance.normal("clock", number)).astype(np.int64)
        made["stamp_us"] = stamp_us // 1000 * 1000
        transit = -_TRANSIT_MEAN_US * np.log1p(-chance.uniform("transit", number))
        late = chance.uniform("late", number) < self._late_share
        delay = np.where(late, -_LATE_MEAN_US * np.log1p(-chance.uniform("how late", number)), transit)
        made["arrived_us"] = made["time_us"] + delay.astype(np.int64)
        return made

    # ------------------------------------------------------------ columns

    def frame(self, stretch: Payments) -> pl.DataFrame:
        """Payments as the detector's events, with label, EXTRA and stable ids."""
        profile = self.profile
        own = profile.columns(self.world, stretch)
        names = pl.Series("attack", [*attack_modules.known(), None], dtype=pl.String)
        columns = {
            profile.id: self._ids(stretch["number"]),
            profile.time: _instants(stretch["stamp_us"]),
            **own,
            profile.label: pl.Series(profile.label, stretch["reported"]),
            "label_known_at": _instants(stretch["known_us"]).set(pl.Series(stretch["known_us"] == 0), None),
            "arrived_at": _instants(stretch["arrived_us"]),
            "attack": names.gather(np.where(stretch["attack"] < 0, len(names) - 1, stretch["attack"]).astype(np.uint32)),
        }
        return pl.DataFrame(columns)

    def _ids(self, number: Numbers) -> pl.Series:
        return pl.select(pl.lit(self._prefix + "-") + pl.Series(number).cast(pl.String).str.zfill(11)).to_series()


def _instants(instant_us: Numbers) -> pl.Series:
    return pl.Series(np.ascontiguousarray(instant_us).view("datetime64[us]")).dt.replace_time_zone("UTC")


def submitted(profile: Profile, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Simulated events as a payer would submit them: times as ISO 8601 text, no label, nothing known only later."""
    shown = frame.drop([name for name in (profile.label, *EXTRA) if name in frame.columns])
    times = [name for name, kind in shown.schema.items() if isinstance(kind, pl.Datetime)]
    return shown.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")).to_dicts()


def simulate(
    profile: Profile,
    *,
    events: int,
    seed: int = 0,
    start: datetime | None = None,
    fraud_rate: float = 0.01,
    attacks: Sequence[str] | None = None,
    people: int | None = None,
    days: float = _DAYS,
    jitter_s: float = 0.0,
    late_share: float = 0.0,
) -> pl.DataFrame:
    """So many events of a new world, in order of arrival.

    Without `people` the world has as many as make these events in `days` days. Without `start` it begins on
    2026-01-01. The columns are the event's, the label's, and EXTRA.

    >>> from penstock.detectors.banking.profile import profile
    >>> simulate(profile, events=100, seed=3).height
    100
    """
    if people is None:
        people = round(events / days / profile.per_day)
    simulator = Simulator(
        profile,
        seed=seed,
        start=start or datetime(2026, 1, 1, tzinfo=UTC),
        people=people,
        fraud_rate=fraud_rate,
        attacks=attacks,
        jitter_s=jitter_s,
        late_share=late_share,
    )
    return simulator.batch(events)
