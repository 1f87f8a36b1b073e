"""People: all properties of person n are a function of the world's seed and n.

The population at an instant depends on the instant alone: each slot passes to another person from time to time. So a world
that is left and entered again later is the same world.

Numbers below `STRANGERS` are residents, who pay again and again; the others are people the world sees once or twice
(guests, and the accounts thieves open or steal elsewhere). Nothing tells the two apart but their history.
"""

import numpy as np
from numpy.typing import NDArray

from penstock.offline.simulate.chance import Chance, Floats, Numbers
from penstock.offline.simulate.cities import IP_BASES, IPS_PER_CITY, LATS, LONGS, SHARES
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import DAY_US

STRANGERS = 500_000_000
"""Numbers from here on belong to people without a past in this world."""

MOST_RESIDENTS = STRANGERS // 2
"""So that those who come have numbers other than those who leave."""

FAVOURITES = 9
"""How many merchants a person goes to habitually, the first far more often than the last."""

_NIGHT_OWLS = 0.06
_FAMILY_CARDS = 0.04
_SECOND_DEVICE = 0.35
_SHARED_DEVICE = 0.08
_PHONE_LIFE_US = 420 * DAY_US
_HOME_SPREAD_DEG = 0.09
_LOWEST_ACTIVITY, _ACTIVITY_SPAN = 0.35, 2.0
_PAYDAYS = np.array([1, 1, 5, 10, 15, 25, 25, 28, 30, 30], np.int64)

MOST_ACTIVE = _LOWEST_ACTIVITY + _ACTIVITY_SPAN


class People:
    """Answers questions about people, given by arrays of their numbers.

    >>> from penstock.detectors.banking.profile import profile
    >>> people = People(Chance(1), profile, residents=1000)
    >>> people.city(np.array([5, 5])).shape
    (2,)
    """

    def __init__(self, chance: Chance, profile: Profile, residents: int) -> None:
        self.chance = chance
        self.profile = profile
        self.residents = residents
        self._stay_us = int(DAY_US / profile.joining_per_day)
        self._generations = STRANGERS // residents

    def present(self, slot: Numbers, time_us: Numbers) -> Numbers:
        """Who lives in each slot (0 to residents - 1) at that time."""
        return slot + self.residents * (self._generation(slot, time_us) % self._generations)

    def joined_us(self, person: Numbers, time_us: Numbers) -> Numbers:
        """When a resident present at that time opened their account: somewhat before they came into this world."""
        slot = person % self.residents
        came = self._generation(slot, time_us) * self._stay_us - self._phase_us(slot)
        waited = 60.0 * DAY_US * self.chance.uniform("signed up before", person) ** 3
        return np.asarray(came - waited.astype(np.int64))

    def _generation(self, slot: Numbers, time_us: Numbers) -> Numbers:
        return (time_us + self._phase_us(slot)) // self._stay_us

    def _phase_us(self, slot: Numbers) -> Numbers:
        return (self.chance.uniform("leaves when", slot) * self._stay_us).astype(np.int64)

    # ------------------------------------------------------------ habits

    def activity(self, person: Numbers) -> Floats:
        """How much more often than others they pay, up to MOST_ACTIVE."""
        return _LOWEST_ACTIVITY + _ACTIVITY_SPAN * self.chance.uniform("activity", person) ** 2

    def spending(self, person: Numbers) -> Floats:
        """Their usual amount."""
        median, sigma = self.profile.spending
        return median * np.exp(sigma * self.chance.normal("spending", person))

    def later_h(self, person: Numbers) -> Floats:
        """By how many hours their day lies later than most people's; night owls live five hours and more behind."""
        owl = self.chance.uniform("night owl", person) < _NIGHT_OWLS
        return 1.1 * self.chance.normal("early bird", person) + np.where(owl, 5.5, 0.0)

    def payday(self, person: Numbers) -> Numbers:
        """The day of the month on which their salary comes."""
        return _PAYDAYS[(self.chance.uniform("payday", person) * len(_PAYDAYS)).astype(np.int64)]

    # ------------------------------------------------------------ places

    def city(self, person: Numbers) -> Numbers:
        """The city they live in, as an index into CITIES."""
        return self.chance.chosen("home city", SHARES, person)

    def home(self, person: Numbers) -> tuple[Floats, Floats]:
        """Latitude and longitude of where they live."""
        city = self.city(person)
        lat = LATS[city] + _HOME_SPREAD_DEG * self.chance.normal("home lat", person)
        return lat, LONGS[city] + _HOME_SPREAD_DEG * self.chance.normal("home long", person)

    def has_family_card(self, person: Numbers) -> NDArray[np.bool_]:
        """Whether a second person in another city pays with the same card."""
        return self.chance.uniform("family card", person) < _FAMILY_CARDS

    def family_city(self, person: Numbers) -> Numbers:
        """Where the second person lives."""
        return self.chance.chosen("family city", SHARES, person)

    # ------------------------------------------------------------ devices and addresses

    def device(self, person: Numbers, time_us: Numbers, which: Floats) -> Numbers:
        """Their device at that time; `which` in [0, 1) selects among several."""
        second = (which > 0.75) & (self.chance.uniform("second device", person) < _SECOND_DEVICE)
        household = np.where(self.chance.uniform("shared device", person // 2) < _SHARED_DEVICE, person // 2, person)
        age = self.chance.uniform("phone bought", person) * _PHONE_LIFE_US
        generation = ((time_us + age) // _PHONE_LIFE_US).astype(np.int64)
        owner = np.where(second, person, household)
        return self._as_number("device", owner, generation * 2 + second)

    def ip(self, person: Numbers, time_us: Numbers, city: Numbers, which: Floats) -> Numbers:
        """The address they come from in that city: home, the office that many share, or the phone company's."""
        month = time_us // (30 * DAY_US)
        at_home = self.chance.uniform("home ip", person, month)
        at_work = self.chance.uniform("work ip", person // 40, month)
        carrier = np.floor(which * 997.0 * self.profile.carrier_ips) % self.profile.carrier_ips / IPS_PER_CITY
        place = np.where(which < 0.62, 0.25 + 0.75 * at_home, np.where(which < 0.72, 0.1 + 0.15 * at_work, carrier))
        return IP_BASES[city] + (place * IPS_PER_CITY).astype(np.int64)

    def _as_number(self, question: str, *numbers: Numbers) -> Numbers:
        return (self.chance.words(question, *numbers) >> np.uint64(1)).astype(np.int64)
