"""Stolen money runs through chains of mules' accounts days apart; each chain is made of other pairs of the same accounts.

Weak: fewer accounts over a longer time.
"""

import numpy as np

from penstock.offline.simulate.books import TRANSFER
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.scene import Scene

SHARE = 0.0
_LINKS = 3
_TURNS = 2


def unfold(scene: Scene) -> Payments:
    """Chains of a victim and three mules; every mule takes part in two, each time with others."""
    pool = scene.mixed(_LINKS * scene.between(4, 12), known_share=0.3)
    chains = np.concatenate([scene.rng.permutation(pool).reshape(-1, _LINKS) for _ in range(_TURNS)])
    n = len(chains)
    begun_us = np.sort(scene.spread_us(n, 50.0 - 20.0 * scene.strength))
    chain = np.column_stack((scene.victims(n), chains))
    parts = []
    for link in range(_LINKS):
        begun_us = begun_us + (DAY_US * scene.rng.uniform(0.3, 3.0, n)).astype(np.int64)
        sender = chain[:, link]
        amount = np.ceil(scene.usual_amounts(sender, 5.0, 20.0) / 500.0) * 500.0
        parts.append(scene.frauds(begun_us, sender, kind=TRANSFER, payee=chain[:, link + 1], amount=amount))
    return joined(parts)
