"""A simulated world: the people, merchants and cities that life and attacks take place in."""

import numpy as np

from penstock.offline.simulate import cities
from penstock.offline.simulate.chance import Chance, Numbers
from penstock.offline.simulate.cities import CITIES
from penstock.offline.simulate.merchants import UNKNOWN, Merchants
from penstock.offline.simulate.people import STRANGERS, People
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US

_STALLS = 250_000_000
_SHELLS = UNKNOWN + _STALLS
_STALL_DAYS = 7
_OPENED_PER_PAYMENT = 0.02


class World:
    """The people and merchants of one profile.

    residents: how many people live in it at any time. balances: what accounts hold, where a profile keeps books.
    """

    def __init__(self, profile: Profile, *, seed: int, start_us: int, residents: int) -> None:
        self.profile = profile
        self.start_us = start_us
        self.chance = Chance(seed)
        self.people = People(self.chance, profile, residents)
        self.merchants = Merchants(self.chance, max(int(residents / profile.people_per_merchant), 60))
        self.balances: dict[int, float] = {}
        self._seed = seed
        self._strangers = self._shells = int(self.chance.words("first stranger", np.array([start_us]))[0] >> np.uint64(34))
        self._stalls = max(round(self.payments_per_us * DAY_US * _OPENED_PER_PAYMENT / len(CITIES)), 1)

    @property
    def payments_per_us(self) -> float:
        """The mean pace of all people together."""
        return self.people.residents * self.profile.per_day / DAY_US

    def rng(self, purpose: int, index: int) -> np.random.Generator:
        """The random generator of one purpose."""
        seeds = [self._seed, self.start_us % 2**63, purpose, index]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))

    def new_people(self, n: int) -> Numbers:
        """Numbers of n people without a past."""
        self._strangers += n
        return STRANGERS + np.arange(self._strangers - n, self._strangers) % STRANGERS

    def new_merchants(self, n: int) -> Numbers:
        """Numbers of n merchants without earlier payments."""
        self._shells += n
        return _SHELLS + np.arange(self._shells - n, self._shells) % _STALLS

    def opened_merchants(self, time_us: Numbers, city: Numbers, rng: np.random.Generator) -> Numbers:
        """For each payment a merchant that opened in that city within the last days."""
        opened = time_us // DAY_US - rng.integers(0, _STALL_DAYS, len(time_us))
        stall = (opened * len(CITIES) + city) * self._stalls + rng.integers(0, self._stalls, len(time_us))
        return UNKNOWN + stall % _STALLS

    def offsets_us(self, instant_us: int) -> Numbers:
        """Each city's offset from UTC at that instant."""
        return cities.offsets_us(instant_us)
