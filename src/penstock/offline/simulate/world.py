"""A simulated world: the people and merchants of one profile, evolving from a first instant, with attackers among them.

Time is cut into slices. Honest payments in a slice depend on the seed and the slice alone; attacks are started so that the
share of frauds, in total and by kind, stays as requested.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from penstock.errors import ConfigurationError, did_you_mean
from penstock.offline.simulate import attacks as attack_modules
from penstock.offline.simulate import cities, labels, life, repeats
from penstock.offline.simulate.chance import Chance, Numbers
from penstock.offline.simulate.cities import CITIES
from penstock.offline.simulate.merchants import UNKNOWN, Merchants
from penstock.offline.simulate.payments import HONEST, Payments, joined
from penstock.offline.simulate.people import MOST_ACTIVE, STRANGERS, People
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US, HOUR_US
from penstock.offline.simulate.scene import Scene

_SLICE_PAYMENTS = 32_768
_LONGEST_SLICE_US, _SHORTEST_SLICE_US = 6 * HOUR_US, 60_000_000
_ROWS_PER_SLICE = 10_000_000
_STALLS = 250_000_000
_SHELLS = UNKNOWN + _STALLS
_STALL_DAYS = 7
_LIFE, _BEGUN, _PACE = 0, 1, 2
_OPENED_PER_PAYMENT = 0.02
_HALF_AN_ATTACK = 12  # frauds; an attack is begun when that many are missing, so that the share is right on average


class World:
    """Makes the payments of one slice of time after the other.

    residents: how many people live in it at any time. attacks: names of the attacks that take place; None for all of
    the profile's. balances: what accounts hold, where a profile keeps books.
    """

    def __init__(
        self, profile: Profile, *, seed: int, start_us: int, residents: int, fraud_rate: float, attacks: Sequence[str] | None
    ) -> None:
        self.profile = profile
        self.seed = seed
        self.start_us = start_us
        self.fraud_rate = fraud_rate
        self.chance = Chance(seed)
        self.people = People(self.chance, profile, residents)
        self.merchants = Merchants(self.chance, max(int(residents / profile.people_per_merchant), 60))
        self.shares = attack_shares(profile, attacks)
        self._strangers = self._shells = int(self.chance.words("first stranger", np.array([start_us]))[0] >> np.uint64(34))
        self._honest, self._frauds = 0, dict.fromkeys(self.shares, 0)
        per_us = residents * profile.per_day / DAY_US
        self.slice_us = int(np.clip(_SLICE_PAYMENTS / per_us, _SHORTEST_SLICE_US, _LONGEST_SLICE_US))
        bought_per_us = per_us * (1.0 - profile.recurring_share) / repeats.mean_repeats(profile)
        self.candidates_per_us = bought_per_us / life.MEAN_SIZE / self._mean_acceptance()
        self.balances: dict[int, float] = {}
        self._stalls = max(round(per_us * DAY_US * _OPENED_PER_PAYMENT / len(CITIES)), 1)

    # ------------------------------------------------------------ slices

    def slice(self, index: int) -> Payments:
        """The payments that begin in slice `index`; those of long attacks reach into later ones. Ask in order."""
        rng = self._rng(_LIFE, index)
        start_us = self.start_us + index * self.slice_us
        honest = life.honest(self, start_us, start_us + self.slice_us, rng)
        self._honest += len(honest)
        made = joined([honest, *self._attacks(start_us, rng)])
        made = made[np.argsort(made["time_us"], kind="stable")]
        made["number"] = index * _ROWS_PER_SLICE + np.arange(len(made))
        labels.label(made, self.fraud_rate, rng)
        return made

    def attack(self, name: str, at_us: int, turn: int, strength: float) -> Payments:
        """The payments of one attack that begins at `at_us`, on top of the requested share; `turn` numbers such attacks."""
        rng = self._rng(_BEGUN, turn)
        made = self._unfold(name, at_us, rng, strength)
        made["number"] = (1_000_000_000 + turn) * _ROWS_PER_SLICE + np.arange(len(made))
        labels.label(made, self.fraud_rate, rng)
        return made

    def _attacks(self, start_us: int, rng: np.random.Generator) -> list[Payments]:
        made: list[Payments] = []
        wanted = self._honest * self.fraud_rate / (1.0 - self.fraud_rate)
        while self.shares and sum(self._frauds.values()) + _HALF_AN_ATTACK < wanted:
            name = max(self.shares, key=lambda name: self.shares[name] * wanted - self._frauds[name])
            strength = float(np.clip(rng.beta(1.7, 1.1), 0.05, 1.0))
            stretch = self._unfold(name, int(start_us + rng.integers(0, self.slice_us)), rng, strength)
            self._frauds[name] += int((stretch["attack"] != HONEST).sum())
            made.append(stretch)
        return made

    def _unfold(self, name: str, at_us: int, rng: np.random.Generator, strength: float) -> Payments:
        index = list(attack_modules.known()).index(name)
        made = attack_modules.known()[name].unfold(Scene(self, index, at_us, rng, strength))
        return repeats.repeated(self.profile, made, rng)

    # ------------------------------------------------------------ what life and attacks ask for

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

    # ------------------------------------------------------------ the pace

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        """The random generator of one purpose: a slice, an attack, the pace."""
        seeds = [self.seed, self.start_us % 2**63, purpose, index]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))

    def _mean_acceptance(self) -> float:
        """The share of candidate outings that take place, measured on a sample of four weeks."""
        rng, n = self._rng(_PACE, 0), 8192
        time_us = self.start_us + rng.integers(0, 28 * DAY_US, n)
        person = self.people.present(rng.integers(0, self.people.residents, n), time_us)
        likely, _ = life.acceptance(self, time_us, person, self.offsets_us(self.start_us))
        return float((likely * self.people.activity(person)).mean() / MOST_ACTIVE)


def attack_shares(profile: Profile, names: Sequence[str] | None) -> Mapping[str, float]:
    """The share of each requested attack; they sum to 1.

    Raises:
        ConfigurationError: an attack that the profile does not know.
    """
    usual = profile.attacks or {name: attack.share for name, attack in attack_modules.known().items() if attack.share}
    for name in names or ():
        if name not in usual:
            raise ConfigurationError(f"{profile.name} knows no attack {name!r}.{did_you_mean(name, usual)}")
    chosen = {name: usual[name] for name in (usual if names is None else names)}
    total = sum(chosen.values())
    return {name: share / total for name, share in chosen.items()}
