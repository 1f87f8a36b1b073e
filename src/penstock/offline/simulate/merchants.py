"""Merchants, in cities and online, each a function of the world's seed and its number.

Numbers are laid out city by city, the most popular first, then those online; numbers from `UNKNOWN` on are merchants
that open while the world runs (market stalls, new shops, and what thieves set up).
"""

import numpy as np

from penstock.offline.simulate.chance import Chance, Floats, Numbers, running_shares
from penstock.offline.simulate.cities import LATS, LONGS, SHARES

UNKNOWN = 500_000_000
"""Numbers from here on belong to merchants nobody has paid before."""

# category, weight among merchants, price level, what one payment varies by (sigma of its logarithm)
_CATEGORIES = (
    ("grocery", 18, 0.95, 0.10),
    ("restaurant", 16, 0.90, 0.08),
    ("fuel", 8, 1.05, 0.05),
    ("pharmacy", 6, 0.80, 0.10),
    ("clothing", 9, 1.20, 0.14),
    ("household", 7, 1.15, 0.14),
    ("leisure", 8, 0.95, 0.12),
    ("transport", 6, 0.80, 0.08),
    ("marketplace", 8, 1.00, 0.18),
    ("subscription", 4, 0.75, 0.03),
    ("electronics", 4, 1.50, 0.22),
    ("travel", 3, 1.60, 0.22),
    ("gaming", 3, 0.85, 0.15),
)
CATEGORIES = tuple(row[0] for row in _CATEGORIES)
_CATEGORY_SHARES = running_shares(np.array([row[1] for row in _CATEGORIES], np.float64))
_PRICES = np.array([row[2] for row in _CATEGORIES])
_VARIES = np.array([row[3] for row in _CATEGORIES])

_POPULARITY = 2.6  # merchant = floor(n * u**_POPULARITY): the first tenth gets four payments in ten
_ONLINE_PART = 0.25
_CITY_SPREAD_DEG = 0.06


class Merchants:
    """Answers questions about merchants, given by arrays of their numbers."""

    def __init__(self, chance: Chance, count: int) -> None:
        self.chance = chance
        shares = np.diff(SHARES, prepend=0.0)
        self._shops = np.maximum((count * (1.0 - _ONLINE_PART) * shares).astype(np.int64), 6)
        self._first = np.concatenate(([0], np.cumsum(self._shops)[:-1]))
        self._shops_total = int(self._shops.sum())
        self._online = max(int(count * _ONLINE_PART), 12)
        self.count = self._shops_total + self._online

    def local(self, city: Numbers, u: Floats) -> Numbers:
        """A merchant of that city by popularity; `u` in [0, 1)."""
        return self._first[city] + (self._shops[city] * u**_POPULARITY).astype(np.int64)

    def online(self, u: Floats) -> Numbers:
        """A merchant online by popularity; `u` in [0, 1)."""
        return self._shops_total + (self._online * u**_POPULARITY).astype(np.int64)

    def category(self, merchant: Numbers) -> Numbers:
        """Index into CATEGORIES."""
        return self.chance.chosen("category", _CATEGORY_SHARES, merchant)

    def price(self, merchant: Numbers) -> Floats:
        """How expensive the merchant is; 1 is usual."""
        return _PRICES[self.category(merchant)] * np.exp(0.12 * self.chance.normal("price", merchant))

    def varies(self, merchant: Numbers) -> Floats:
        """By how much payments there differ (sigma of their logarithm), on top of the person's own habit."""
        return _VARIES[self.category(merchant)]

    def place(self, merchant: Numbers, city: Numbers) -> tuple[Floats, Floats]:
        """Latitude and longitude of its till in that city."""
        lat = LATS[city] + _CITY_SPREAD_DEG * self.chance.normal("shop lat", merchant, city)
        return lat, LONGS[city] + _CITY_SPREAD_DEG * self.chance.normal("shop long", merchant, city)
