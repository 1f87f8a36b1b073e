"""Somebody takes over a person's account and drains it, from a new device and usually a new place.

Weak: slow and stealthy; over a day or two, from the victim's own city, with amounts hardly above the usual.
"""

import numpy as np

from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.rhythm import HOUR_US
from penstock.offline.simulate.scene import Scene

SHARE = 0.20
_STEALTHY_BELOW = 0.22


def unfold(scene: Scene) -> Payments:
    """A handful of payments that empty the account."""
    victim = scene.victims(1)
    home = int(scene.world.people.city(victim)[0])
    return _stealthy(scene, victim[0], home) if scene.strength < _STEALTHY_BELOW else _draining(scene, victim[0], home)


def _draining(scene: Scene, victim: int, home: int) -> Payments:
    n = scene.between(4, 12)
    person = np.full(n, victim)
    city = scene.far_city(home, 300.0)
    lat, long = scene.lair(city)
    rising = 1.0 + np.arange(n) / n
    return scene.frauds(
        scene.moments_us(n, 900.0 - 700.0 * scene.strength),
        person,
        merchant=np.where(scene.rng.random(n) < 0.45, scene.merchants_unknown(n), scene.merchants_online(n)),
        amount=np.round(scene.usual_amounts(person, 2.2, 9.0) * rising, 2),
        lat=lat,
        long=long,
        online=True,
        **scene.equipment(city, person),
    )


def _stealthy(scene: Scene, victim: int, home: int) -> Payments:
    n = scene.between(3, 5)
    person = np.full(n, victim)
    lat, long = scene.lair(home)
    return scene.frauds(
        scene.at_us + ((np.arange(n) + scene.rng.random(n)) * 9 * HOUR_US).astype(np.int64),
        person,
        merchant=scene.merchants_online(n),
        amount=scene.usual_amounts(person, 1.0, 2.8),
        lat=lat,
        long=long,
        online=True,
        device=scene.devices(1)[0],
        ip=scene.ips(home, 1)[0],
    )
