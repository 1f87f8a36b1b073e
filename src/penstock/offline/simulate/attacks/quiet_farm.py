"""A farm of accounts pays from devices that are used twice each, weeks apart, with amounts that are usual.

Weak: fewer accounts over a longer time.
"""

import numpy as np

from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.scene import Scene

SHARE = 0.0


def unfold(scene: Scene) -> Payments:
    """Every account pays twice, each time from another device, which one other account uses."""
    n = scene.between(15, 45)
    accounts, devices = scene.strangers(n), scene.devices(n)
    turns = np.concatenate((np.arange(n), np.arange(n)))
    shared = scene.rng.permutation(n)
    machine = np.concatenate((shared, np.roll(shared, -1)))
    person = accounts[turns]
    time_us = scene.spread_us(2 * n, 50.0 - 20.0 * scene.strength)
    return scene.frauds(
        time_us,
        person,
        merchant=scene.merchants_online(2 * n),
        amount=scene.usual_amounts(person, 0.7, 2.0),
        online=True,
        device=devices[machine],
        **scene.at_home(person, time_us),
        signup_us=scene.at_us - (DAY_US * scene.rng.uniform(1.0, 120.0, n)).astype(np.int64)[turns],
    )
