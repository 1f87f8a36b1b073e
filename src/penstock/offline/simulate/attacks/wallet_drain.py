"""Wallets are taken over one after the other: all that they hold goes to a mule's account, which cashes it out.

Weak: a part of what is there, in smaller steps, hours before it is cashed.
"""

import numpy as np

from penstock.offline.simulate.books import CASH_OUT, TRANSFER
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.scene import MINUTE_US, Scene

SHARE = 0.0


def unfold(scene: Scene) -> Payments:
    """Some victims, each drained in one to three transfers; what comes in goes out again."""
    victims = scene.victims(scene.between(2, 6))
    mules = scene.mixed(scene.between(2, 1), known_share=0.4)
    begins = scene.moments_us(len(victims), 3600.0 - 2700.0 * scene.strength)
    return joined(
        [_drained(scene, victim, int(scene.rng.choice(mules)), int(at)) for victim, at in zip(victims, begins, strict=True)]
    )


def _drained(scene: Scene, victim: int, mule: int, at_us: int) -> Payments:
    steps = scene.between(3, 1)
    last = 0.35 + 0.65 * min(1.0, scene.strength * (0.6 + scene.rng.random()))
    part = np.append(scene.rng.uniform(0.2, 0.5, steps - 1), last)
    gaps = np.cumsum(scene.rng.exponential(90_000_000, steps)).astype(np.int64)
    taken = scene.frauds(at_us + gaps, np.full(steps, victim), kind=TRANSFER, payee=mule, part=part)
    wait_us = int(scene.rng.exponential((4.0 + 180.0 * (1.0 - scene.strength) ** 2) * MINUTE_US))
    cashed = scene.frauds(
        np.array([at_us + gaps[-1] + 30_000_000 + wait_us]),
        np.array([mule]),
        kind=CASH_OUT,
        part=scene.rng.uniform(0.85, 1.0, 1),
    )
    return joined([taken, cashed])
