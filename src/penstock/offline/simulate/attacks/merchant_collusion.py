"""Merchants that nobody knew take a run of high payments from accomplices and stolen cards, then are gone.

Weak: a few payments spread over half a day, so that each looks like one large purchase at a new shop.
"""

import numpy as np

from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.scene import Scene

SHARE = 0.18


def unfold(scene: Scene) -> Payments:
    """High, often round amounts at merchants set up for it, each of which takes a few."""
    n = scene.between(5, 30)
    person = scene.mixed(n, known_share=0.35)
    city = scene.city()
    shops = scene.rng.choice(scene.merchants_unknown(1 + scene.between(1, n / 3)), n)
    lat, long = scene.world.merchants.place(shops, np.full(n, city))
    return scene.frauds(
        scene.moments_us(n, 2400.0 - 2200.0 * scene.strength),
        person,
        merchant=shops,
        amount=scene.high_amounts(n),
        lat=np.round(lat, 4),
        long=np.round(long, 4),
        online=scene.happens(0.3),
        device=scene.devices(n),
        ip=scene.ips(city, n),
    )
