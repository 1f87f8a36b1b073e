"""How payments by users of a payment service look in the simulator."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from penstock.offline.simulate import naming
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.places import CITIES, nearest
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.world import World

_WHOLE = [f"{city.name}, {city.country}" for city in CITIES]
_COUNTRIES = [city.country for city in CITIES]
_SAYS_COUNTRY_ALONE = 0.2
_CONTACTLESS = 0.55


def _columns(world: World, stretch: Payments) -> Mapping[str, pl.Series]:
    return {
        "user_id": naming.people(stretch["person"], "U"),
        "amount": pl.Series(stretch["amount"]),
        "merchant": naming.merchants(world, stretch["merchant"]),
        "location": _locations(world, stretch),
        "device_id": naming.devices(stretch["device"]),
        "transaction_type": _types(world, stretch),
    }


def _locations(world: World, stretch: Payments) -> pl.Series:
    """City and country, or in the apps of some devices the country alone."""
    city = nearest(stretch["lat"], stretch["long"])
    briefly = world.chance.uniform("says country alone", stretch["device"]) < _SAYS_COUNTRY_ALONE
    names = pl.Series(_WHOLE + _COUNTRIES)
    return names.gather((city + np.where(briefly, len(CITIES), 0)).astype(np.uint32))


def _types(world: World, stretch: Payments) -> pl.Series:
    contactless = world.chance.uniform("contactless", stretch["number"]) < _CONTACTLESS
    which = np.where(stretch["online"], 0, np.where(contactless, 1, 2))
    return pl.Series(["online", "contactless", "chip"]).gather(which.astype(np.uint32))


profile = Profile(
    name="payments",
    columns=_columns,
    id="transaction_id",
    time="timestamp",
    per_day=1.5,
    spending=(45.0, 0.7),
    high=(1200.0, 7500.0),
    online_share=0.45,
)
"""A user pays three times in two days, some 45 in one currency, nearly half of it online."""
