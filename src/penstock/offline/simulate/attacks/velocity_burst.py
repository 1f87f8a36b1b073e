"""One stolen card pays as often as it can within minutes, with amounts that are usual for its owner.

Weak: longer pauses and fewer payments.
"""

import numpy as np

from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.scene import Scene

SHARE = 0.16


def unfold(scene: Scene) -> Payments:
    """A dozen to some fifty payments at a few merchants."""
    n = scene.between(14, 50)
    card = scene.mixed(1, known_share=0.75)
    person = np.repeat(card, n)
    city = scene.far_city(int(scene.world.people.city(card)[0]), 150.0)
    lat, long = scene.lair(city)
    shops = scene.merchants_online(scene.between(1, 4))
    return scene.frauds(
        scene.moments_us(n, 70.0 - 55.0 * scene.strength),
        person,
        merchant=scene.rng.choice(shops, n),
        amount=scene.usual_amounts(person, 0.6, 2.4),
        lat=lat,
        long=long,
        online=True,
        **scene.equipment(city, person),
    )
