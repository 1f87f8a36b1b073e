"""Stolen money runs through chains of mules' accounts days apart; each chain is made of other pairs of the same accounts.

Mules are residents with a history, and every transfer is an ordinary one: a part of what the sender holds, to somebody they
have not paid before. Only the chain is odd. Weak: fewer accounts over a longer time.
"""

import numpy as np

from penstock.offline.simulate.books import TRANSFER
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.rhythm import DAY_US
from penstock.offline.simulate.scene import Scene

SHARE = 0.0
_LINKS = 3
_TURNS = 2
_PART = (0.05, 0.6)


def unfold(scene: Scene) -> Payments:
    """Chains of a victim and three mules; every mule takes part in two, each time with others."""
    trios = scene.between(4, 12)
    n = _TURNS * trios
    people = scene.residents(_LINKS * trios + n)
    pool, victims = people[n:], people[:n]
    chains = np.concatenate([scene.rng.permutation(pool).reshape(-1, _LINKS) for _ in range(_TURNS)])
    begun_us = np.sort(scene.spread_us(n, 50.0 - 20.0 * scene.strength))
    chain = np.column_stack((victims, chains))
    parts = []
    for link in range(_LINKS):
        begun_us = begun_us + (DAY_US * scene.rng.uniform(0.5, 6.0, n)).astype(np.int64)
        part = scene.rng.uniform(*_PART, n)
        parts.append(scene.frauds(begun_us, chain[:, link], kind=TRANSFER, payee=chain[:, link + 1], part=part))
    return joined(parts)
