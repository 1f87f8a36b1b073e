"""A copy of a card pays in a far country while its owner goes on paying at home.

Weak: fewer payments, with amounts the owner could have made.
"""

import numpy as np

from penstock.offline.simulate.chance import Numbers
from penstock.offline.simulate.payments import Payments, joined
from penstock.offline.simulate.scene import MINUTE_US, Scene

SHARE = 0.10


def unfold(scene: Scene) -> Payments:
    """A genuine payment at home, then the copy's far away, with the owner's next ones in between."""
    victim = scene.victims(1)
    home = int(scene.world.people.city(victim)[0])
    away = scene.far_city(home)
    n = scene.between(3, 9)
    person = np.repeat(victim, n)
    delay_us = int(scene.rng.integers(8 * MINUTE_US, 90 * MINUTE_US))
    shops = scene.merchants_in(away, n)
    lat, long = scene.world.merchants.place(shops, np.full(n, away))
    copies = scene.frauds(
        scene.moments_us(n, 420.0) + delay_us,
        person,
        merchant=shops,
        amount=scene.usual_amounts(person, 0.9 + 0.7 * scene.strength, 2.5 + 5.0 * scene.strength),
        lat=np.round(lat, 4),
        long=np.round(long, 4),
        device=scene.devices(1)[0],
        ip=scene.ips(away, 1)[0],
    )
    return joined([_at_home(scene, victim[0], home, copies["time_us"]), copies])


def _at_home(scene: Scene, victim: int, home: int, meanwhile_us: Numbers) -> Payments:
    """The owner's own payments: one before, and perhaps one between the copy's."""
    more = meanwhile_us[1:2] + MINUTE_US if scene.happens(0.4) else meanwhile_us[:0]
    time_us = np.concatenate(([scene.at_us], more))
    n = len(time_us)
    person, city = np.full(n, victim), np.full(n, home)
    people, merchants = scene.world.people, scene.world.merchants
    shops = merchants.local(city, scene.world.chance.uniform("favourite", person, np.arange(n)))
    lat, long = merchants.place(shops, city)
    return scene.genuine(
        scene.frauds(
            time_us,
            person,
            merchant=shops,
            amount=scene.usual_amounts(person, 0.6, 1.6),
            lat=np.round(lat, 4),
            long=np.round(long, 4),
            device=people.device(person, time_us, scene.rng.random(n)),
            ip=people.ip(person, time_us, city, scene.rng.random(n)),
        )
    )
