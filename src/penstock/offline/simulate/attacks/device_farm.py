"""Many accounts are opened on a few devices and addresses, and buy at once.

Weak: fewer accounts, more devices, and some hours between sign-up and purchase.
"""

import numpy as np

from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.scene import MINUTE_US, Scene

SHARE = 0.16


def unfold(scene: Scene) -> Payments:
    """Sign-ups in a row; each account buys once or twice soon after."""
    accounts = scene.strangers(scene.between(10, 45))
    opened = scene.moments_us(len(accounts), 200.0 - 150.0 * scene.strength)
    which = np.sort(scene.rng.integers(0, int(len(accounts) * 1.3), int(len(accounts) * 1.3)) % len(accounts))
    n = len(which)
    patience_us = (0.3 + 40.0 * (1.0 - scene.strength) ** 2) * MINUTE_US
    city = scene.city()
    lat, long = scene.lair(city)
    machine = accounts[which] % scene.between(3, 1)
    shops = (scene.merchants_unknown if scene.happens(0.25) else scene.merchants_online)(2)
    typical = np.full(n, scene.world.profile.spending[0])
    return scene.frauds(
        opened[which] + scene.rng.exponential(patience_us, n).astype(np.int64),
        accounts[which],
        signup_us=opened[which],
        merchant=scene.rng.choice(shops, n),
        amount=np.ceil(typical * (1.2 + 4.0 * scene.rng.random(n)) / 5.0) * 5.0,
        lat=lat,
        long=long,
        online=True,
        device=scene.devices(int(machine.max()) + 1)[machine],
        ip=scene.ips(city, int(machine.max()) + 1)[machine],
    )
