"""Stolen cards are tried with small amounts at one merchant within minutes; those that work pay something big.

Weak: fewer cards, further apart. Half of the cards belong to people the world knows. Sometimes it is one card alone
that is tried again and again, to find its limit or its code.
"""

import numpy as np

from penstock.offline.simulate.chance import Numbers
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.scene import MINUTE_US, Scene

SHARE = 0.20
_ONE_CARD = 0.25
_WORKING = 0.3


def unfold(scene: Scene) -> Payments:
    """At least a dozen tests, then a big payment with some of the cards."""
    cards = scene.mixed(1 if scene.happens(_ONE_CARD) else scene.between(8, 30), known_share=0.5)
    person = _tried(scene, cards)
    city = scene.city()
    lat, long = scene.lair(city)
    where = {"lat": lat, "long": long, "online": True}
    shop = (scene.merchants_unknown if scene.happens(0.4) else scene.merchants_online)(1)[0]
    tests = scene.frauds(
        scene.moments_us(len(person), 28.0 - 20.0 * scene.strength),
        person,
        merchant=shop,
        amount=scene.small_amounts(len(person)),
        **scene.equipment(city, person),
        **where,
    )
    working = cards[scene.rng.random(len(cards)) < _WORKING]
    until = tests["time_us"][-1] + scene.rng.integers(MINUTE_US, 50 * MINUTE_US, len(working))
    spoils = scene.frauds(
        until,
        working,
        merchant=scene.merchants_unknown(len(working)),
        amount=scene.high_amounts(len(working)),
        **scene.equipment(city, working),
        **where,
    )
    return joined([tests, spoils])


def _tried(scene: Scene, cards: Numbers) -> Numbers:
    """The card of each test, every card at least once, at least twelve in all."""
    if len(cards) == 1:
        return np.repeat(cards, scene.between(12, 24) + 3)
    again = scene.rng.choice(cards, len(cards) // 3 + 12)
    return scene.rng.permutation(np.concatenate((cards, again)))
