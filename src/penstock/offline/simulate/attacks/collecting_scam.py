"""Many people are talked into sending money to one account, from which it is cashed out every now and then.

Weak: few victims over a day or two, who send what they might have sent anyway.
"""

import numpy as np

from penstock.offline.simulate.books import CASH_OUT, TRANSFER
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.scene import MINUTE_US, Scene

SHARE = 0.0
_EACH = 4


def unfold(scene: Scene) -> Payments:
    """A run of transfers to one account; after every few, most of it is cashed."""
    n = scene.between(6, 22)
    victims = scene.victims(n)
    account = scene.mixed(1, known_share=0.3)
    sent = scene.frauds(
        scene.moments_us(n, 5400.0 - 4800.0 * scene.strength),
        victims,
        kind=TRANSFER,
        payee=account[0],
        amount=np.ceil(scene.usual_amounts(victims, 6.0, 16.0 + 24.0 * scene.strength) / 500.0) * 500.0,
    )
    due = sent["time_us"][_EACH - 1 :: _EACH]
    cashed = scene.frauds(
        due + scene.rng.exponential(8 * MINUTE_US, len(due)).astype(np.int64) + 20_000_000,
        np.repeat(account, len(due)),
        kind=CASH_OUT,
        part=scene.rng.uniform(0.75, 1.0, len(due)),
    )
    return joined([sent, cashed])
