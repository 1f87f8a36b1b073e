"""Locations of people: at home, on a trip, or travelling.

Time is cut into fortnights; a person travels in one of nine of them, for two to ten days that lie inside the
fortnight, and near places are visited more often than far ones. The way there and back takes as long as a flight with
what comes before and after it; on the way people do not pay, so honest journeys have plausible speeds.
"""

import numpy as np
from numpy.typing import NDArray

from penstock.offline.simulate.chance import Floats, Numbers
from penstock.offline.simulate.cities import BETWEEN_KM
from penstock.offline.simulate.people import People
from penstock.offline.simulate.rhythm import DAY_US, HOUR_US

_FORTNIGHT_US = 14 * DAY_US
_TRAVELS = 1.0 / 9.0
_SHORTEST_DAYS, _LONGEST_DAYS = 2.0, 10.0
_CRUISE_KM_PER_H = 760.0
_AIRPORTS_H = 2.5
_NEAR_KM = 1500.0


def _destinations() -> Floats:
    """For each city the running shares of where its people go; never to itself."""
    pull = 1.0 / (_NEAR_KM + BETWEEN_KM)
    np.fill_diagonal(pull, 0.0)
    running = np.cumsum(pull, axis=1)
    return running / running[:, -1:]


_DESTINATIONS = _destinations()


def whereabouts(people: People, person: Numbers, time_us: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """The city each person is in at that time, and whether they are on the way and cannot pay."""
    home = people.city(person)
    fortnight = time_us // _FORTNIGHT_US
    travels = np.flatnonzero(people.chance.uniform("travels", person, fortnight) < _TRAVELS)
    city, on_the_way = home.copy(), np.zeros(len(person), np.bool_)
    city[travels], on_the_way[travels] = _on_trip(people, person[travels], time_us[travels], home[travels])
    return city, on_the_way


def _on_trip(people: People, person: Numbers, time_us: Numbers, home: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    fortnight = time_us // _FORTNIGHT_US
    u = people.chance.uniform("destination", person, fortnight)
    there = np.minimum((_DESTINATIONS[home] <= u[:, None]).sum(axis=1), _DESTINATIONS.shape[0] - 1)
    away_us = (_SHORTEST_DAYS + (_LONGEST_DAYS - _SHORTEST_DAYS) * people.chance.uniform("away", person, fortnight)) * DAY_US
    starts_us = fortnight * _FORTNIGHT_US + (_FORTNIGHT_US - away_us) * people.chance.uniform("leaves", person, fortnight)
    way_us = (_AIRPORTS_H + BETWEEN_KM[home, there] / _CRUISE_KM_PER_H) * HOUR_US
    since_us, until_us = time_us - starts_us, starts_us + away_us - time_us
    outside = (since_us < 0) | (until_us < 0)
    on_the_way = ~outside & ((since_us < way_us) | (until_us < way_us))
    return np.where(outside, home, there), on_the_way
