"""Identities put together from a stock of devices and addresses pay little for weeks, then once more than they are good for.

Weak: fewer identities over a longer time. No two of them share both parts.
"""

import numpy as np

from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.scene import Scene

SHARE = 0.0
_SHARING = 3
_QUIET = 2
_QUIET_DAYS = 20.0


def unfold(scene: Scene) -> Payments:
    """Two small payments of each identity, which nobody disputes, and a large one; three identities share each part."""
    parts = scene.between(5, 14)
    person = scene.strangers(_SHARING * parts)
    which = np.arange(len(person))
    city = scene.city()
    lat, long = scene.lair(city)
    equipment = {
        "device": scene.devices(parts)[which % parts],
        "ip": scene.home_ips(city, parts)[(which + which // parts) % parts],
        "signup_us": np.full(len(person), scene.at_us - 30 * DAY_US),
    }
    place = {"lat": lat, "long": long, "online": True}
    spent_us = scene.spread_us(len(person), 50.0 - 20.0 * scene.strength) + int(_QUIET_DAYS * DAY_US)
    quiet = [
        scene.genuine(_paid(scene, spent_us - _earlier_us(scene, len(person)), person, (0.4, 1.2), place | equipment))
        for _ in range(_QUIET)
    ]
    return joined([*quiet, _paid(scene, spent_us, person, (1.2, 3.0), place | equipment)])


def _earlier_us(scene: Scene, n: int) -> np.ndarray:
    return (DAY_US * scene.rng.uniform(2.0, _QUIET_DAYS, n)).astype(np.int64)


def _paid(
    scene: Scene, time_us: np.ndarray, person: np.ndarray, times_usual: tuple[float, float], columns: dict[str, object]
) -> Payments:
    amount = scene.usual_amounts(person, *times_usual)
    return scene.frauds(time_us, person, merchant=scene.merchants_online(len(person)), amount=amount, **columns)
