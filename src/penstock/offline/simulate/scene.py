"""The context of a simulated attack: start, place, random numbers, victims, strangers and merchants."""

from typing import Any

import numpy as np

from penstock.offline.simulate.chance import Floats, Numbers
from penstock.offline.simulate.cities import BETWEEN_KM, LATS, LONGS, SHARES
from penstock.offline.simulate.payments import HONEST, Payments, payments
from penstock.offline.simulate.people import STRANGERS
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.world import World

SECOND_US, MINUTE_US = 1_000_000, 60_000_000
_DISGUISED = 0.45


class Scene:
    """One attack about to unfold.

    at_us: when it begins. strength: between 0 and 1; a weak attack is slow, small or careful, and hard to see.
    """

    def __init__(self, world: World, index: int, at_us: int, rng: np.random.Generator, strength: float) -> None:
        self.world = world
        self.at_us = at_us
        self.rng = rng
        self.strength = strength
        self._index = index

    def between(self, weakest: float, strongest: float) -> int:
        """A whole number that grows with strength, give or take a quarter."""
        mean = weakest + (strongest - weakest) * self.strength
        return max(round(mean * self.rng.uniform(0.75, 1.25)), 1)

    def happens(self, share: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < share)

    # ------------------------------------------------------------ who and where

    def victims(self, n: int) -> Numbers:
        """Residents whose card or account is used."""
        people = self.world.people
        return people.present(self.rng.integers(0, people.residents, n), np.full(n, self.at_us))

    def residents(self, n: int) -> Numbers:
        """Different residents where there are so many; in a smaller world some come again."""
        people = self.world.people
        drawn = np.resize(self.rng.permutation(people.residents), n)
        return people.present(drawn, np.full(n, self.at_us))

    def strangers(self, n: int) -> Numbers:
        """Accounts that are new to this world."""
        return self.world.new_people(n)

    def mixed(self, n: int, known_share: float) -> Numbers:
        """Victims and strangers, shuffled."""
        return np.where(self.rng.random(n) < known_share, self.victims(n), self.strangers(n))

    def city(self) -> int:
        """Some city."""
        return int(np.searchsorted(SHARES, self.rng.random(), side="right"))

    def far_city(self, home: int, least_km: float = 2500.0) -> int:
        """Some city far from home."""
        far = np.flatnonzero(BETWEEN_KM[home] >= least_km)
        return int(self.rng.choice(far))

    def lair(self, city: int) -> tuple[float, float]:
        """A point in the city from which the attack is made."""
        lat, long = self.rng.normal(0.0, 0.08, 2)
        return round(float(LATS[city] + lat), 4), round(float(LONGS[city] + long), 4)

    def devices(self, n: int) -> Numbers:
        """Devices not seen before."""
        return self.rng.integers(1 << 40, 1 << 62, n)

    def ips(self, city: int, n: int) -> Numbers:
        """Addresses in that city."""
        cities, rng = np.full(n, city), self.rng
        return self.world.people.ip(self.strangers(n), np.full(n, self.at_us), cities, rng.random(n))

    def home_ips(self, city: int, n: int) -> Numbers:
        """Addresses of households in that city."""
        return self.world.people.ip(self.strangers(n), np.full(n, self.at_us), np.full(n, city), np.zeros(n))

    def at_home(self, person: Numbers, time_us: Numbers) -> dict[str, Any]:
        """Place and address of people who pay from where they live."""
        people = self.world.people
        lat, long = people.home(person)
        ip = people.ip(person, time_us, people.city(person), self.rng.random(len(person)))
        return {"lat": np.round(lat, 4), "long": np.round(long, 4), "ip": ip}

    def equipment(self, city: int, person: Numbers) -> dict[str, Numbers]:
        """Device and address of each payment: one for all, or in some attacks a false one for each account's visit."""
        n = len(person)
        if not self.happens(_DISGUISED):
            return {"device": np.repeat(self.devices(1), n), "ip": self.rng.choice(self.ips(city, 2), n)}
        visit = np.unique(person + (np.arange(n) // 3 if len(set(person.tolist())) == 1 else 0), return_inverse=True)[1]
        return {"device": self.devices(n)[visit], "ip": self.ips(city, n)[visit]}

    # ------------------------------------------------------------ merchants and money

    def merchants_online(self, n: int) -> Numbers:
        """Merchants online, popular or not."""
        return self.world.merchants.online(self.rng.random(n) ** 0.6)

    def merchants_in(self, city: int, n: int) -> Numbers:
        """Shops of a city, popular or not."""
        return self.world.merchants.local(np.full(n, city), self.rng.random(n) ** 0.6)

    def merchants_unknown(self, n: int) -> Numbers:
        """Merchants without earlier payments."""
        return self.world.new_merchants(n)

    def small_amounts(self, n: int) -> Floats:
        """Amounts for testing a card."""
        profile = self.world.profile
        top = 0.09 * profile.spending[0] * (1.0 + self.rng.random())
        return np.asarray(np.round(profile.smallest + top * self.rng.random(n) ** 1.5, 2))

    def high_amounts(self, n: int) -> Floats:
        """Large amounts, often a round sum or just below one."""
        low, high = self.world.profile.high
        amount = low * (high / low) ** self.rng.random(n)
        step = low / 30.0
        rounded = np.ceil(amount / step) * step - np.where(self.rng.random(n) < 0.3, step * 0.02, 0.0)
        return np.asarray(np.round(np.where(self.rng.random(n) < 0.5, rounded, amount), 2))

    def usual_amounts(self, person: Numbers, low: float, high: float) -> Floats:
        """Between `low` and `high` times what the person usually pays."""
        factor = low * (high / low) ** self.rng.random(len(person))
        amount = self.world.people.spending(person) * factor
        return np.asarray(np.maximum(np.round(amount, 2), self.world.profile.smallest))

    # ------------------------------------------------------------ time and the result

    def moments_us(self, n: int, mean_gap_s: float) -> Numbers:
        """So many instants from the beginning on, with exponential gaps."""
        gaps = self.rng.exponential(mean_gap_s * SECOND_US, n)
        gaps[:1] = 0.0
        return np.asarray(self.at_us + np.cumsum(gaps)).astype(np.int64)

    def spread_us(self, n: int, days: float) -> Numbers:
        """So many instants within some days from the beginning on, in no order."""
        return np.asarray(self.at_us + (self.rng.random(n) * days * DAY_US)).astype(np.int64)

    def frauds(self, time_us: Numbers, person: Numbers, **columns: Any) -> Payments:
        """Payments of this attack; accounts are as old as they are unless `signup_us` says otherwise."""
        made = payments(len(time_us), time_us=time_us, person=person, **columns)
        made["attack"] = self._index
        if "signup_us" not in columns:
            made["signup_us"] = self._signed_up_us(made)
        return made

    def genuine(self, made: Payments) -> Payments:
        """Payments the victim makes meanwhile; they are honest."""
        made["attack"] = HONEST
        return made

    def _signed_up_us(self, made: Payments) -> Numbers:
        age_us = DAY_US * (0.05 + 200.0 * self.world.chance.uniform("stranger's age", made["person"]) ** 2)
        opened = self.at_us - age_us.astype(np.int64)
        return np.where(made["person"] >= STRANGERS, opened, self.world.people.joined_us(made["person"], made["time_us"]))
