"""Honest payments: mostly habits, some repeats, some unusual ones.

Unusual and honest: sprees, a splurge, a payment in the middle of the night, a family's card paid with in two cities at
once, an address that lies about where it is, a stranger's large purchase at a shop that opened today.
"""

import numpy as np
from numpy.typing import NDArray

from penstock.offline.simulate.chance import Floats, Numbers
from penstock.offline.simulate.cities import BETWEEN_KM, LATS, LONGS, SHARES
from penstock.offline.simulate.merchants import UNKNOWN
from penstock.offline.simulate.payments import Payments, joined, payments
from penstock.offline.simulate.people import FAVOURITES, MOST_ACTIVE, STRANGERS, People
from penstock.offline.simulate.repeats import in_a_row_us, recurring, repeated
from penstock.offline.simulate.rhythm import DAY_US, HOUR_US, appetite
from penstock.offline.simulate.world import World

_FORTNIGHT_US = 14 * DAY_US
_TRAVELS = 1.0 / 9.0
_SHORTEST_DAYS, _LONGEST_DAYS = 2.0, 10.0
_CRUISE_KM_PER_H = 760.0
_AIRPORTS_H = 2.5
_NEAR_KM = 1500.0

_SIZES = np.cumsum([0.70, 0.18, 0.07, 0.025, 0.012, 0.008, 0.003, 0.002])  # payments in one outing: 1, 2, ...
MEAN_SIZE = float((np.arange(1, 9) * np.diff(_SIZES, prepend=0.0)).sum())
_GAP_MEDIAN_US, _GAP_SIGMA = 9 * 60_000_000, 0.9

_HABIT, _EXPLORES = 0.85, 0.985  # up to the first a usual merchant, up to the second another, beyond one just opened
_GUEST_HABIT, _GUEST_EXPLORES = 0.0, 0.65
_FAMILY_PART = 0.22
_FALSE_ADDRESS = 0.012
_SPLURGE_MEDIAN, _SPLURGE_SIGMA = 3.6, 0.45
_LARGE_FIRST, _LARGE_FIRST_SIGMA = 0.65, 0.3  # of what thieves go for at least
_ROUND_AMOUNTS = 0.12


def honest(world: World, outings_per_us: float, start_us: int, stop_us: int, rng: np.random.Generator) -> Payments:
    """All honest payments of outings that begin in [start_us, stop_us), of so many candidate outings."""
    time_us, person, city = _outings(world, outings_per_us, start_us, stop_us, rng)
    size = np.searchsorted(_SIZES, rng.random(len(person)), side="right") + 1
    size = np.minimum(size, len(_SIZES))
    time_us, person, city = np.repeat(time_us, size), np.repeat(person, size), np.repeat(city, size)
    bought = payments(len(person), time_us=time_us + in_a_row_us(size, _GAP_MEDIAN_US, _GAP_SIGMA, rng), person=person)
    city = _buy(world, bought, city, rng)
    due = recurring(world, start_us, stop_us)
    made = joined([bought, due])
    _appear(world, made, np.concatenate((city, whereabouts(world.people, due["person"], due["time_us"])[0])), rng)
    return repeated(world.profile, made, rng)


def acceptance(world: World, time_us: Numbers, person: Numbers, offsets_us: Numbers) -> tuple[Floats, Numbers]:
    """The probability that a candidate goes out at that time, and the city."""
    people = world.people
    city, on_the_way = whereabouts(people, person, time_us)
    ready = appetite(time_us + offsets_us[city], people.later_h(person), people.payday(person))
    return np.where(on_the_way, 0.0, ready), city


def _outings(
    world: World, outings_per_us: float, start_us: int, stop_us: int, rng: np.random.Generator
) -> tuple[Numbers, Numbers, Numbers]:
    """Time, person and city of each outing: candidates at an even pace, thinned to people's activity and rhythm."""
    count = int(rng.poisson(outings_per_us * (stop_us - start_us)))
    time_us = rng.integers(start_us, stop_us, count)
    person = world.people.present(rng.integers(0, world.people.residents, count), time_us)
    lively = np.flatnonzero(rng.random(count) < world.people.activity(person) / MOST_ACTIVE)
    time_us, person, count = time_us[lively], person[lively], len(lively)
    guest = np.flatnonzero(rng.random(count) < world.profile.guest_share)
    person[guest] = world.new_people(len(guest))
    likely, city = acceptance(world, time_us, person, world.offsets_us(start_us))
    kept = np.flatnonzero(rng.random(count) < likely)
    return time_us[kept], person[kept], city[kept]


def _buy(world: World, made: Payments, city: Numbers, rng: np.random.Generator) -> Numbers:
    """Where each payment is made and for how much; returns the city in which somebody pays, on a family card another one."""
    people, person, n = world.people, made["person"], len(made)
    stranger = person >= STRANGERS
    family = people.has_family_card(person) & (rng.random(n) < _FAMILY_PART) & ~stranger
    city = np.where(family, people.family_city(person), city)
    made["online"] = rng.random(n) < world.profile.online_share
    made["merchant"] = _merchants(world, made, city, stranger, rng)
    made["amount"] = _amounts(world, made, stranger, rng)
    return city


def _appear(world: World, made: Payments, city: Numbers, rng: np.random.Generator) -> None:
    """Place, device and address of each payment, and the age of the account."""
    people, person, n = world.people, made["person"], len(made)
    stranger = person >= STRANGERS
    seen_in = np.where(made["online"] & (rng.random(n) < _FALSE_ADDRESS), np.searchsorted(SHARES, rng.random(n)), city)
    made["lat"], made["long"] = _places(world, made, seen_in)
    made["device"] = people.device(person, made["time_us"], rng.random(n))
    made["ip"] = people.ip(person, made["time_us"], seen_in, rng.random(n))
    made["signup_us"] = np.where(
        stranger, made["time_us"] - _strangers_age_us(rng, n), people.joined_us(person, made["time_us"])
    )


def _merchants(world: World, made: Payments, city: Numbers, stranger: NDArray[np.bool_], rng: np.random.Generator) -> Numbers:
    person, online, chance, n = made["person"], made["online"], world.chance, len(made)
    rank = (FAVOURITES * rng.random(n) ** 1.8).astype(np.int64)
    u = rng.random(n)
    at_home = city == world.people.city(person)
    habit = (u < np.where(stranger, _GUEST_HABIT, _HABIT)) & (online | at_home)
    wish = np.where(habit, chance.uniform("favourite", person, rank + 100 * online), rng.random(n))
    usual = np.where(online, world.merchants.online(wish), world.merchants.local(city, wish))
    opened = world.opened_merchants(made["time_us"], city, rng)
    return np.where(u < np.where(stranger, _GUEST_EXPLORES, _EXPLORES), usual, opened)


def _amounts(world: World, made: Payments, stranger: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    merchant, profile, n = made["merchant"], world.profile, len(made)
    sigma = np.hypot(profile.habit_sigma, world.merchants.varies(merchant)) + profile.strangers_sigma * stranger
    amount = world.people.spending(made["person"]) * world.merchants.price(merchant) * np.exp(sigma * rng.standard_normal(n))
    splurge = _SPLURGE_MEDIAN * np.exp(_SPLURGE_SIGMA * rng.standard_normal(n))
    amount = np.where(rng.random(n) < profile.splurge_share, amount * splurge, amount)
    large = _LARGE_FIRST * profile.high[0] * np.exp(_LARGE_FIRST_SIGMA * rng.standard_normal(n))
    furnishes = stranger & (merchant >= UNKNOWN) & (rng.random(n) < profile.large_first_share)
    amount = np.where(furnishes, np.maximum(amount, large), amount)
    amount = np.where(rng.random(n) < _ROUND_AMOUNTS, np.ceil(amount / 5.0) * 5.0, amount)
    return np.asarray(np.maximum(np.round(amount, 2), profile.smallest), np.float64)


def _places(world: World, made: Payments, city: Numbers) -> tuple[Floats, Floats]:
    """The till's place, or for a payment online where the person is: home, or a room in the city they visit."""
    people, person = world.people, made["person"]
    home_lat, home_long = people.home(person)
    room_lat = LATS[city] + 0.05 * world.chance.normal("room lat", person, city)
    room_long = LONGS[city] + 0.05 * world.chance.normal("room long", person, city)
    shop_lat, shop_long = world.merchants.place(made["merchant"], city)
    at_home = city == people.city(person)
    lat: Floats = np.where(made["online"], np.where(at_home, home_lat, room_lat), shop_lat)
    long: Floats = np.where(made["online"], np.where(at_home, home_long, room_long), shop_long)
    return np.round(lat, 4), np.round(long, 4)


def _strangers_age_us(rng: np.random.Generator, n: int) -> Numbers:
    """How old a stranger's account is: some open it to make this one purchase."""
    minutes = 2.0 + 40.0 * rng.random(n)
    days = 1.0 + 250.0 * rng.random(n) ** 2
    return np.where(rng.random(n) < 0.3, minutes * 60e6, days * DAY_US).astype(np.int64)


# ---------------------------------------------------------------- where people are

# A person travels in one of nine fortnights, for two to ten days inside it; near places are visited more often than far
# ones. The way there and back takes as long as a flight with what comes before and after it; on the way people do not pay,
# so honest journeys have plausible speeds.


def _destinations() -> Floats:
    """For each city the running shares of where its people go; never to itself."""
    pull = 1.0 / (_NEAR_KM + BETWEEN_KM)
    np.fill_diagonal(pull, 0.0)
    running = np.cumsum(pull, axis=1)
    return running / running[:, -1:]


_DESTINATIONS = _destinations()


def whereabouts(people: People, person: Numbers, time_us: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """The city each person is in at that time, and whether they are on the way and cannot pay."""
    home = people.city(person)
    fortnight = time_us // _FORTNIGHT_US
    travels = np.flatnonzero(people.chance.uniform("travels", person, fortnight) < _TRAVELS)
    city, on_the_way = home.copy(), np.zeros(len(person), np.bool_)
    city[travels], on_the_way[travels] = _on_trip(people, person[travels], time_us[travels], home[travels])
    return city, on_the_way


def _on_trip(people: People, person: Numbers, time_us: Numbers, home: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    fortnight = time_us // _FORTNIGHT_US
    u = people.chance.uniform("destination", person, fortnight)
    there = np.minimum((_DESTINATIONS[home] <= u[:, None]).sum(axis=1), _DESTINATIONS.shape[0] - 1)
    away_us = (_SHORTEST_DAYS + (_LONGEST_DAYS - _SHORTEST_DAYS) * people.chance.uniform("away", person, fortnight)) * DAY_US
    starts_us = fortnight * _FORTNIGHT_US + (_FORTNIGHT_US - away_us) * people.chance.uniform("leaves", person, fortnight)
    way_us = (_AIRPORTS_H + BETWEEN_KM[home, there] / _CRUISE_KM_PER_H) * HOUR_US
    since_us, until_us = time_us - starts_us, starts_us + away_us - time_us
    outside = (since_us < 0) | (until_us < 0)
    on_the_way = ~outside & ((since_us < way_us) | (until_us < way_us))
    return np.where(outside, home, there), on_the_way
