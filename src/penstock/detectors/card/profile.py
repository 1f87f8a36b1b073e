"""Simulation profile of card payments.

The place of a payment is the merchant's: online that is where the merchant has its seat, however far from the holder.
Categories say which of both it is, as in `grocery_pos` (point of sale) and `marketplace_net`. Device and address are
known online alone, browsers that forget what they were told look like new devices, and of a few payments nothing is
known but the seven fields that every event has.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from penstock.offline.simulate import naming
from penstock.offline.simulate.chance import Floats, Numbers
from penstock.offline.simulate.cities import SHARES, nearest
from penstock.offline.simulate.merchants import CATEGORIES
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US, HOUR_US
from penstock.offline.simulate.world import World

_ISSUER = "40"
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_FORGETFUL = 0.08
_BARE = 0.03
_OPTIONAL = ("user", "card", "device", "merchant", "ip", "age", "home_latitude", "home_longitude", "city_population")
_BYTES = (24, 16, 8, 0)


def _columns(world: World, stretch: Payments) -> Mapping[str, pl.Series]:
    person, chance = stretch["person"], world.chance
    local_us = _local_us(world, stretch)
    lat, long = _places(world, stretch)
    home_lat, home_long = world.people.home(person)
    columns = {
        "amount": pl.Series(stretch["amount"]),
        "category": _categories(world, stretch),
        "hour": pl.Series(local_us // HOUR_US % 24),
        "day_of_week": pl.Series((local_us // DAY_US + _EPOCH_WEEKDAY) % 7),
        "latitude": pl.Series(lat),
        "longitude": pl.Series(long),
        "user": naming.people(person, "U"),
        "card": _card_numbers(person),
        "device": _online_alone(stretch, naming.devices(_devices(world, stretch))),
        "merchant": naming.merchants(world, stretch["merchant"]),
        "ip": _online_alone(stretch, _addresses(stretch["ip"])),
        "age": pl.Series(_ages(chance.normal("age", person))),
        "home_latitude": pl.Series(np.round(home_lat, 4)),
        "home_longitude": pl.Series(np.round(home_long, 4)),
        "city_population": pl.Series(np.round(10.0 ** (3.0 + 3.5 * chance.uniform("population", person)))),
    }
    bare = pl.Series(chance.uniform("bare", stretch["purchase"]) < _BARE)
    return columns | {name: pl.select(pl.when(~bare).then(columns[name])).to_series() for name in _OPTIONAL}


def _places(world: World, stretch: Payments) -> tuple[Floats, Floats]:
    """Where the merchant is."""
    merchant = stretch["merchant"]
    lat, long = world.merchants.place(merchant, world.chance.chosen("seat", SHARES, merchant))
    online = stretch["online"]
    return np.where(online, np.round(lat, 4), stretch["lat"]), np.where(online, np.round(long, 4), stretch["long"])


def _devices(world: World, stretch: Payments) -> Numbers:
    """The device as the shop knows it, which takes a forgetful browser for a new one."""
    purchase = stretch["purchase"]
    forgets = world.chance.uniform("forgets", purchase) < _FORGETFUL
    fresh = (world.chance.words("fresh device", purchase) >> np.uint64(1)).astype(np.int64)
    return np.where(forgets, fresh, stretch["device"])


def _online_alone(stretch: Payments, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(pl.Series(stretch["online"])).then(values)).to_series()


def _categories(world: World, stretch: Payments) -> pl.Series:
    names = pl.Series([f"{name}_{way}" for way in ("pos", "net") for name in CATEGORIES])
    return names.gather((world.merchants.category(stretch["merchant"]) + len(CATEGORIES) * stretch["online"]).astype(np.uint32))


def _local_us(world: World, stretch: Payments) -> Numbers:
    """What the clocks show where the payer is."""
    if not len(stretch):
        return np.zeros(0, np.int64)
    offsets = world.offsets_us(int(stretch["stamp_us"][0]))
    return np.asarray(stretch["stamp_us"] + offsets[nearest(stretch["lat"], stretch["long"])])


def _card_numbers(person: Numbers) -> pl.Series:
    """Sixteen digits, the last of them the check digit (Luhn)."""
    digits = pl.Series(naming.shuffled(person)).cast(pl.String).str.zfill(13).to_list()
    return pl.Series([f"{number}{_check_digit(number)}" for number in (_ISSUER + text for text in digits)])


_DOUBLED = tuple(2 * digit // 10 + 2 * digit % 10 for digit in range(10))


def _check_digit(number: str) -> int:
    odd = sum(_DOUBLED[int(digit)] for digit in number[::-2])
    return -(odd + sum(int(digit) for digit in number[-2::-2])) % 10


def _addresses(ip: Numbers) -> pl.Series:
    """IPv4 in the usual way of writing."""
    parts = [pl.Series(ip >> shift & 255).cast(pl.String) for shift in _BYTES]
    return pl.select(pl.concat_str(parts, separator=".")).to_series()


def _ages(normal: Floats) -> Floats:
    return np.clip(np.round(46.0 + 17.0 * normal), 18, 95)


profile = Profile(
    name="card",
    columns=_columns,
    id="transaction_id",
    time="timestamp",
    per_day=1.6,
    spending=(55.0, 0.7),
    high=(1400.0, 9000.0),
    online_share=0.35,
    large_first_share=0.0,
    on_request={"quiet_farm": 0.2, "synthetic_identities": 0.2},
)
"""A card pays eight times in five days, some 55 in one currency, a third of it online."""
