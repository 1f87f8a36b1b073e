"""Repeated payments: retries after a decline, split payments, and weekly or four-weekly ones.

Repeats are not fraud: a declined card is tried again, an impatient customer presses the button twice, a
large sum is paid in parts. Thieves are declined and try again just as often. The profile sets the rates.
"""

import math

import numpy as np

from penstock.offline.simulate.chance import Floats, Numbers
from penstock.offline.simulate.payments import HONEST, Payments, payments
from penstock.offline.simulate.people import STRANGERS
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.world import World

_FURTHER_TRIES = np.cumsum([0.55, 0.25, 0.12, 0.05, 0.03])  # 1, 2, ... after the first
_FURTHER_PARTS = np.cumsum([0.60, 0.25, 0.15])
_EVEN_PARTS = 0.5
_STRANGERS_AGAIN = 2.0  # so much more often are strangers declined
_LARGE, _LARGE_AGAIN = 4.0, 3.0  # times the usual payment; so much more often is that declined, or paid in parts
_GAP_MEDIAN_US, _GAP_SIGMA = 45_000_000, 1.2

_PERIODS_US = {7 * DAY_US: 0.3, 28 * DAY_US: 0.7}  # and the share of recurring payments that each has
_SCATTER = 2**31 - 1  # a prime above the number of residents, so that it shares no factor with the number of orders
PAID = 0  # `books.PAYMENT`, the kind of a recurring payment where a profile has kinds


def mean_repeats(profile: Profile) -> float:
    """Payments per purchase, on average."""
    return 1.0 + profile.retry_share * _mean(_FURTHER_TRIES) + profile.split_share * _mean(_FURTHER_PARTS)


def _mean(cumulative: Floats) -> float:
    return float((np.arange(1, len(cumulative) + 1) * np.diff(cumulative, prepend=0.0)).sum())


def repeated(profile: Profile, made: Payments, rng: np.random.Generator) -> Payments:
    """Purchases with their further tries and their parts, which share `purchase`; what empties an account happens once."""
    n = len(made)
    made["purchase"] = rng.integers(0, 2**62, n)
    u, v = rng.random(n), rng.random(n)
    once = made["part"] > 0.0
    likelier = np.where(made["amount"] > _LARGE * profile.spending[0], _LARGE_AGAIN, 1.0)
    likelier = np.where(made["person"] >= STRANGERS, _STRANGERS_AGAIN, 1.0) * likelier
    tried = ~once & (u < profile.retry_share * likelier)
    parted = (made["attack"] == HONEST) & ~tried & (u < (profile.retry_share + profile.split_share) * likelier)
    further = np.where(tried, 1 + np.searchsorted(_FURTHER_TRIES, v), 1 + np.searchsorted(_FURTHER_PARTS, v))
    size = np.where(tried | parted, 1 + further, 1)
    again = np.repeat(made, size)
    again["time_us"] += in_a_row_us(size, _GAP_MEDIAN_US, _GAP_SIGMA, rng)
    shares = np.where(np.repeat(rng.random(n) < _EVEN_PARTS, size), 1.0, 0.3 + rng.random(len(again)))
    whole = np.repeat(np.bincount(np.repeat(np.arange(n), size), shares, n), size)
    parts = np.maximum(np.round(again["amount"] * shares / whole, 2), profile.smallest)
    again["amount"] = np.where(np.repeat(parted, size), parts, again["amount"])
    return again


def in_a_row_us(size: Numbers, median_us: int, sigma: float, rng: np.random.Generator) -> Numbers:
    """The delay of each payment after the first of its run, for runs of these lengths."""
    gaps = median_us * np.exp(sigma * rng.standard_normal(int(size.sum())))
    first = np.cumsum(size) - size
    gaps[first] = 0.0
    passed = np.cumsum(gaps)
    return np.asarray(passed - np.repeat(passed[first], size)).astype(np.int64)


def recurring(world: World, start_us: int, stop_us: int) -> Payments:
    """Payments due in [start_us, stop_us) by standing orders: always the same amount to the same merchant online."""
    return np.concatenate([_due(world, period_us, share, start_us, stop_us) for period_us, share in _PERIODS_US.items()])


def _due(world: World, period_us: int, share: float, start_us: int, stop_us: int) -> Payments:
    """Those of one period: order after order at even distances, in a scattered sequence; not everybody has each."""
    profile, people, chance = world.profile, world.people, world.chance
    each = profile.recurring_share * share * profile.per_day / mean_repeats(profile) * period_us / DAY_US
    orders = math.ceil(each) * people.residents
    if not orders:
        return payments(0)
    apart_us = period_us / orders
    turn = np.arange(math.ceil(start_us / apart_us), math.ceil(stop_us / apart_us))
    order = turn % orders * pow(_SCATTER, -1, orders) % orders
    time_us = np.clip((turn * apart_us).astype(np.int64), start_us, stop_us - 1)
    person = people.present(order % people.residents, time_us)
    has = chance.uniform(f"order every {period_us}", person, order) < each / math.ceil(each)
    time_us, person, order = time_us[has], person[has], order[has]
    merchant = world.merchants.online(chance.uniform("order to", person, order))
    usual = people.spending(person) * world.merchants.price(merchant)
    amount = usual * np.exp(profile.habit_sigma * chance.normal("order of", person, order))
    return payments(
        len(person),
        time_us=time_us,
        person=person,
        merchant=merchant,
        amount=np.maximum(np.round(amount, 2), profile.smallest),
        online=True,
        kind=PAID,
    )
