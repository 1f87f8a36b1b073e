"""The payments of a simulated world, slice after slice of time, with attacks and labels.

Honest payments in a slice depend on the seed and the slice alone; attacks are started so that the share of frauds, in total
and by kind, stays as requested. Labels are late: chargebacks come days later or never, and some honest payments are disputed.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from penstock.errors import ConfigurationError, did_you_mean
from penstock.offline.simulate import attacks as attack_modules
from penstock.offline.simulate import life, repeats
from penstock.offline.simulate.payments import HONEST, Payments, joined
from penstock.offline.simulate.people import MOST_ACTIVE
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US, HOUR_US
from penstock.offline.simulate.scene import Scene
from penstock.offline.simulate.world import World

_SLICE_PAYMENTS = 32_768
_LONGEST_SLICE_US, _SHORTEST_SLICE_US = 6 * HOUR_US, 60_000_000
_ROWS_PER_SLICE = 10_000_000
_LIFE, _BEGUN, _PACE = 0, 1, 2
_HALF_AN_ATTACK = 12  # frauds; an attack is begun when that many are missing, so that the share is right on average

_NEVER_REPORTED = 0.03
_FALSE_DISPUTES_PER_FRAUD = 0.004
_MEDIAN_DELAY_DAYS, _DELAY_SIGMA = 4.5, 0.7
_SHORTEST_DAYS, _LONGEST_DAYS = 0.1, 60.0


class Traffic:
    """Makes the payments of one slice of time after the other.

    attacks: names of the attacks that take place; None for all of the profile's.
    """

    def __init__(self, world: World, *, fraud_rate: float, attacks: Sequence[str] | None) -> None:
        self.world = world
        self._fraud_rate = fraud_rate
        self._shares = attack_shares(world.profile, attacks)
        self._honest, self._frauds = 0, dict.fromkeys(self._shares, 0)
        per_us = world.payments_per_us
        self.slice_us = int(np.clip(_SLICE_PAYMENTS / per_us, _SHORTEST_SLICE_US, _LONGEST_SLICE_US))
        bought_per_us = per_us * (1.0 - world.profile.recurring_share) / repeats.mean_repeats(world.profile)
        self._outings_per_us = bought_per_us / life.MEAN_SIZE / _mean_acceptance(world)

    def slice(self, index: int) -> Payments:
        """The payments that begin in slice `index`; those of long attacks reach into later ones. Ask in order."""
        rng = self.world.rng(_LIFE, index)
        start_us = self.world.start_us + index * self.slice_us
        honest = life.honest(self.world, self._outings_per_us, start_us, start_us + self.slice_us, rng)
        self._honest += len(honest)
        made = joined([honest, *self._attacks(start_us, rng)])
        made = made[np.argsort(made["time_us"], kind="stable")]
        made["number"] = index * _ROWS_PER_SLICE + np.arange(len(made))
        _label(made, self._fraud_rate, rng)
        return made

    def attack(self, name: str, at_us: int, turn: int, strength: float) -> Payments:
        """The payments of one attack that begins at `at_us`, on top of the requested share; `turn` numbers such attacks."""
        rng = self.world.rng(_BEGUN, turn)
        made = self._unfold(name, at_us, rng, strength)
        made["number"] = (1_000_000_000 + turn) * _ROWS_PER_SLICE + np.arange(len(made))
        _label(made, self._fraud_rate, rng)
        return made

    def _attacks(self, start_us: int, rng: np.random.Generator) -> list[Payments]:
        made: list[Payments] = []
        wanted = self._honest * self._fraud_rate / (1.0 - self._fraud_rate)
        while self._shares and sum(self._frauds.values()) + _HALF_AN_ATTACK < wanted:
            name = max(self._shares, key=lambda name: self._shares[name] * wanted - self._frauds[name])
            strength = float(np.clip(rng.beta(1.7, 1.1), 0.05, 1.0))
            stretch = self._unfold(name, int(start_us + rng.integers(0, self.slice_us)), rng, strength)
            self._frauds[name] += int((stretch["attack"] != HONEST).sum())
            made.append(stretch)
        return made

    def _unfold(self, name: str, at_us: int, rng: np.random.Generator, strength: float) -> Payments:
        index = list(attack_modules.known()).index(name)
        made = attack_modules.known()[name].unfold(Scene(self.world, index, at_us, rng, strength))
        return repeats.repeated(self.world.profile, made, rng)


def _mean_acceptance(world: World) -> float:
    """The share of candidate outings that take place, measured on a sample of four weeks."""
    rng, n = world.rng(_PACE, 0), 8192
    time_us = world.start_us + rng.integers(0, 28 * DAY_US, n)
    person = world.people.present(rng.integers(0, world.people.residents, n), time_us)
    likely, _ = life.acceptance(world, time_us, person, world.offsets_us(world.start_us))
    return float((likely * world.people.activity(person)).mean() / MOST_ACTIVE)


def _label(stretch: Payments, fraud_rate: float, rng: np.random.Generator) -> None:
    """Fill `reported` and `known_us`: the label of each payment, and when it becomes known."""
    fraud = stretch["attack"] != HONEST
    u = rng.random(len(stretch))
    disputed = ~fraud & (u < fraud_rate * _FALSE_DISPUTES_PER_FRAUD)
    stretch["reported"] = (fraud & (u >= _NEVER_REPORTED)) | disputed
    days = _MEDIAN_DELAY_DAYS * np.exp(_DELAY_SIGMA * rng.standard_normal(len(stretch)))
    delay_us = (np.clip(days, _SHORTEST_DAYS, _LONGEST_DAYS) * DAY_US).astype(np.int64)
    stretch["known_us"] = np.where(stretch["reported"], stretch["time_us"] + delay_us, 0)


def attack_shares(profile: Profile, names: Sequence[str] | None) -> Mapping[str, float]:
    """The share of each requested attack; they sum to 1. None: of those that take place without being requested.

    Raises:
        ConfigurationError: an attack that the profile does not know.
    """
    usual = profile.attacks or {name: attack.share for name, attack in attack_modules.known().items() if attack.share}
    every = {**usual, **profile.on_request}
    for name in names or ():
        if name not in every:
            raise ConfigurationError(f"{profile.name} knows no attack {name!r}.{did_you_mean(name, every)}")
    chosen = {name: every[name] for name in (usual if names is None else names)}
    total = sum(chosen.values())
    return {name: share / total for name, share in chosen.items()}


def all_attacks(profile: Profile) -> list[str]:
    """Every attack that can be begun on a profile, those on request last."""
    return [*attack_shares(profile, None), *profile.on_request]
