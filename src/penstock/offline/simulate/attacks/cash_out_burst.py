"""A wallet whose secret number was stolen is cashed out again and again within minutes, at one agent after the other.

Weak: fewer and smaller amounts, an hour apart.
"""

import numpy as np

from penstock.offline.simulate.books import CASH_OUT
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.scene import Scene

SHARE = 0.0


def unfold(scene: Scene) -> Payments:
    """Three to a dozen withdrawals, each a part of what is left."""
    n = scene.between(3, 10)
    return scene.frauds(
        scene.moments_us(n, 2400.0 - 2250.0 * scene.strength),
        np.repeat(scene.victims(1), n),
        kind=CASH_OUT,
        part=scene.rng.uniform(0.12, 0.25 + 0.3 * scene.strength, n),
    )
