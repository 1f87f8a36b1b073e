"""Simulation profile of payments by users of a payment service.

A card's chip says nothing of a device, and browsers that forget, or that hide who they are, look like new devices.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.offline.simulate import naming
from penstock.offline.simulate.cities import CITIES, nearest
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.world import World

_WHOLE = [f"{city.name}, {city.country}" for city in CITIES]
_COUNTRIES = [city.country for city in CITIES]
_SAYS_COUNTRY_ALONE = 0.2
_CONTACTLESS_SHARE = 0.55
_FORGETFUL = 0.1
_TYPES = ("online", "contactless", "chip")
_ONLINE, _CONTACTLESS, _CHIP = range(len(_TYPES))


def _columns(world: World, stretch: Payments) -> Mapping[str, pl.Series]:
    return {
        "user_id": naming.people(stretch["person"], "U"),
        "amount": pl.Series(stretch["amount"]),
        "merchant": naming.merchants(world, stretch["merchant"]),
        "location": _locations(world, stretch),
        "device_id": _devices(world, stretch),
        "transaction_type": pl.Series(_TYPES).gather(_types(world, stretch)),
    }


def _devices(world: World, stretch: Payments) -> pl.Series:
    purchase, types = stretch["purchase"], _types(world, stretch)
    forgets = (types == _ONLINE) & (world.chance.uniform("forgets", purchase) < _FORGETFUL)
    fresh = (world.chance.words("fresh device", purchase) >> np.uint64(1)).astype(np.int64)
    known = pl.Series(types != _CHIP)
    return pl.select(pl.when(known).then(naming.devices(np.where(forgets, fresh, stretch["device"])))).to_series()


def _locations(world: World, stretch: Payments) -> pl.Series:
    """City and country, or in the apps of some devices the country alone."""
    city = nearest(stretch["lat"], stretch["long"])
    briefly = world.chance.uniform("says country alone", stretch["device"]) < _SAYS_COUNTRY_ALONE
    names = pl.Series(_WHOLE + _COUNTRIES)
    return names.gather((city + np.where(briefly, len(CITIES), 0)).astype(np.uint32))


def _types(world: World, stretch: Payments) -> NDArray[np.uint32]:
    contactless = world.chance.uniform("contactless", stretch["purchase"]) < _CONTACTLESS_SHARE
    return np.where(stretch["online"], _ONLINE, np.where(contactless, _CONTACTLESS, _CHIP)).astype(np.uint32)


profile = Profile(
    name="payments",
    columns=_columns,
    id="transaction_id",
    time="timestamp",
    per_day=1.5,
    spending=(45.0, 0.7),
    high=(1200.0, 7500.0),
    online_share=0.45,
    on_request={"quiet_farm": 0.2, "synthetic_identities": 0.2},
)
"""A user pays three times in two days, some 45 in one currency, nearly half of it online."""
