"""Simulation profile of purchases in an online shop.

There is one shop, so merchants play no part; people buy seldom, and many of them only once. What thieves do shows in
accounts, devices and addresses.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from penstock.offline.simulate import naming
from penstock.offline.simulate.chance import Floats, running_shares
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.world import World

_SOURCES, _SOURCE_SHARES = ("SEO", "Ads", "Direct"), running_shares(np.array([40.0, 40.0, 20.0]))
_BROWSERS = ("Chrome", "IE", "Safari", "FireFox", "Opera")
_BROWSER_SHARES = running_shares(np.array([41.0, 24.0, 16.0, 16.0, 3.0]))
_MALE = 0.58
_YOUNGEST, _OLDEST = 18, 76
_SHARED_IP_FRACTION = 1.0 / 1024.0


def _columns(world: World, stretch: Payments) -> Mapping[str, pl.Series]:
    person, chance = stretch["person"], world.chance
    return {
        "user_id": pl.Series(naming.shuffled(person)),
        "signup_time": _instants(stretch),
        "purchase_value": pl.Series(np.round(stretch["amount"])),
        "device_id": naming.devices(stretch["device"]),
        "source": _names(_SOURCES, _SOURCE_SHARES, chance.uniform("source", person)),
        "browser": _names(_BROWSERS, _BROWSER_SHARES, chance.uniform("browser", stretch["device"])),
        "sex": _names(("M", "F"), np.array([_MALE, 1.0]), chance.uniform("sex", person)),
        "age": pl.Series(_ages(chance.normal("age", person))),
        "ip_address": pl.Series(
            stretch["ip"] + np.floor(chance.uniform("ip part", stretch["ip"]) * 1024) * _SHARED_IP_FRACTION
        ),
    }


def _names(names: tuple[str, ...], running: Floats, u: Floats) -> pl.Series:
    return pl.Series(names).gather(np.searchsorted(running, u, side="right").astype(np.uint32))


def _ages(normal: Floats) -> Floats:
    return np.clip(np.round(33.0 + 9.0 * normal), _YOUNGEST, _OLDEST)


def _instants(stretch: Payments) -> pl.Series:
    whole_seconds = stretch["signup_us"] // 1_000_000 * 1_000_000
    return pl.Series(whole_seconds.view("datetime64[us]")).dt.replace_time_zone("UTC")


profile = Profile(
    name="ecommerce",
    columns=_columns,
    id="transaction_id",
    time="purchase_time",
    label="class",
    per_day=0.12,
    spending=(34.0, 0.4),
    habit_sigma=0.3,
    smallest=9.0,
    high=(55.0, 160.0),
    online_share=1.0,
    guest_share=0.25,
    joining_per_day=0.01,
    carrier_ips=24,
    strangers_sigma=0.25,
    attacks={
        "account_takeover": 0.22,
        "card_testing": 0.15,
        "device_farm": 0.38,
        "impossible_travel": 0.08,
        "velocity_burst": 0.17,
    },
    on_request={"quiet_farm": 0.2, "synthetic_identities": 0.2},
)
"""A person buys some three times in a month, for about 34; every fourth purchase is somebody's only one."""
