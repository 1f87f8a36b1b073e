"""Stolen money runs through a chain of mules' accounts within minutes, is split, and is cashed out at several agents.

Weak: fewer links, hours between them, and every mule keeps a larger part.
"""

import numpy as np

from penstock.offline.simulate.books import CASH_OUT, TRANSFER
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.scene import MINUTE_US, Scene

SHARE = 0.0


def unfold(scene: Scene) -> Payments:
    """One victim, a chain, and at its end two to four who cash out."""
    links, ends = scene.between(2, 6), scene.between(2, 4)
    chain = np.concatenate((scene.victims(1), scene.mixed(links, known_share=0.45)))
    tails = scene.mixed(ends, known_share=0.45)
    pause_us = (2.0 + 120.0 * (1.0 - scene.strength) ** 2) * MINUTE_US
    hops = scene.at_us + np.cumsum(scene.rng.exponential(pause_us, links)).astype(np.int64)
    passed = scene.rng.uniform(0.6 + 0.3 * scene.strength, 1.0, links)
    run = scene.frauds(hops, chain[:-1], kind=TRANSFER, payee=chain[1:], part=passed)
    after = hops[-1] + np.cumsum(scene.rng.exponential(pause_us, ends)).astype(np.int64)
    shares = scene.rng.uniform(0.8, 1.1, ends) / np.arange(ends, 0, -1)
    split = scene.frauds(after, np.full(ends, chain[-1]), kind=TRANSFER, payee=tails, part=np.minimum(shares, 1.0))
    cashed = scene.frauds(
        after + MINUTE_US + scene.rng.exponential(pause_us, ends).astype(np.int64),
        tails,
        kind=CASH_OUT,
        part=scene.rng.uniform(0.8, 1.0, ends),
    )
    return joined([run, split, cashed])
