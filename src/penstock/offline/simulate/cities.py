"""Cities: location, time zone, share of the population, and a block of IPv4 addresses.

Coordinates are the cities' own; weights follow their size and how much they pay by card, roughly. The address
blocks lie inside larger blocks allocated to the country, so that an ip says the country as it does in real life.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from penstock.offline.simulate.chance import Floats, Numbers, running_shares

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARTH_RADIUS_KM = 6371.0088

IPS_PER_CITY = 1 << 16


@dataclass(frozen=True, slots=True)
class City:
    """One city; `ip_base` is the first of its IPS_PER_CITY addresses."""

    name: str
    country: str
    lat: float
    long: float
    zone: str
    weight: float
    ip_base: str


CITIES = (
    City("New York", "United States", 40.71, -74.01, "America/New_York", 9, "12.16.0.0"),
    City("Los Angeles", "United States", 34.05, -118.24, "America/Los_Angeles", 6, "12.32.0.0"),
    City("Chicago", "United States", 41.88, -87.63, "America/Chicago", 5, "12.48.0.0"),
    City("Houston", "United States", 29.76, -95.37, "America/Chicago", 3, "12.64.0.0"),
    City("Denver", "United States", 39.74, -104.99, "America/Denver", 2, "12.80.0.0"),
    City("Toronto", "Canada", 43.65, -79.38, "America/Toronto", 3, "47.128.0.0"),
    City("Mexico City", "Mexico", 19.43, -99.13, "America/Mexico_City", 4, "187.192.0.0"),
    City("Sao Paulo", "Brazil", -23.55, -46.63, "America/Sao_Paulo", 6, "152.240.0.0"),
    City("Buenos Aires", "Argentina", -34.60, -58.38, "America/Argentina/Buenos_Aires", 2, "181.0.0.0"),
    City("Bogota", "Colombia", 4.71, -74.07, "America/Bogota", 1.5, "181.240.0.0"),
    City("London", "United Kingdom", 51.51, -0.13, "Europe/London", 7, "25.16.0.0"),
    City("Manchester", "United Kingdom", 53.48, -2.24, "Europe/London", 2, "25.32.0.0"),
    City("Dublin", "Ireland", 53.35, -6.26, "Europe/Dublin", 1, "87.32.0.0"),
    City("Paris", "France", 48.86, 2.35, "Europe/Paris", 5, "90.16.0.0"),
    City("Lyon", "France", 45.76, 4.84, "Europe/Paris", 1.5, "90.32.0.0"),
    City("Berlin", "Germany", 52.52, 13.41, "Europe/Berlin", 3, "79.192.0.0"),
    City("Munich", "Germany", 48.14, 11.58, "Europe/Berlin", 2, "79.200.0.0"),
    City("Amsterdam", "Netherlands", 52.37, 4.90, "Europe/Amsterdam", 2, "145.52.0.0"),
    City("Stockholm", "Sweden", 59.33, 18.07, "Europe/Stockholm", 1.5, "78.64.0.0"),
    City("Warsaw", "Poland", 52.23, 21.01, "Europe/Warsaw", 2, "83.0.0.0"),
    City("Madrid", "Spain", 40.42, -3.70, "Europe/Madrid", 3, "88.0.0.0"),
    City("Lisbon", "Portugal", 38.72, -9.14, "Europe/Lisbon", 1, "85.240.0.0"),
    City("Rome", "Italy", 41.90, 12.50, "Europe/Rome", 3, "151.16.0.0"),
    City("Athens", "Greece", 37.98, 23.73, "Europe/Athens", 1, "94.64.0.0"),
    City("Istanbul", "Turkey", 41.01, 28.98, "Europe/Istanbul", 3, "78.160.0.0"),
    City("Lagos", "Nigeria", 6.52, 3.38, "Africa/Lagos", 1.5, "105.112.0.0"),
    City("Nairobi", "Kenya", -1.29, 36.82, "Africa/Nairobi", 1, "105.160.0.0"),
    City("Johannesburg", "South Africa", -26.20, 28.05, "Africa/Johannesburg", 1.5, "41.0.0.0"),
    City("Dubai", "United Arab Emirates", 25.20, 55.27, "Asia/Dubai", 2, "94.200.0.0"),
    City("Riyadh", "Saudi Arabia", 24.71, 46.68, "Asia/Riyadh", 1.5, "188.48.0.0"),
    City("Mumbai", "India", 19.08, 72.88, "Asia/Kolkata", 5, "117.192.0.0"),
    City("Delhi", "India", 28.61, 77.21, "Asia/Kolkata", 5, "117.200.0.0"),
    City("Bangalore", "India", 12.97, 77.59, "Asia/Kolkata", 4, "117.208.0.0"),
    City("Bangkok", "Thailand", 13.76, 100.50, "Asia/Bangkok", 2, "171.96.0.0"),
    City("Jakarta", "Indonesia", -6.21, 106.85, "Asia/Jakarta", 3, "39.192.0.0"),
    City("Singapore", "Singapore", 1.35, 103.82, "Asia/Singapore", 2, "42.60.0.0"),
    City("Shanghai", "China", 31.23, 121.47, "Asia/Shanghai", 5, "36.128.0.0"),
    City("Beijing", "China", 39.90, 116.41, "Asia/Shanghai", 4, "36.136.0.0"),
    City("Seoul", "Korea Republic of", 37.57, 126.98, "Asia/Seoul", 4, "175.192.0.0"),
    City("Tokyo", "Japan", 35.68, 139.69, "Asia/Tokyo", 6, "126.16.0.0"),
    City("Manila", "Philippines", 14.60, 120.98, "Asia/Manila", 1.5, "60.204.0.0"),
    City("Sydney", "Australia", -33.87, 151.21, "Australia/Sydney", 3, "103.190.0.0"),
    City("Auckland", "New Zealand", -36.85, 174.76, "Pacific/Auckland", 1, "49.224.0.0"),
)

LATS: Floats = np.array([city.lat for city in CITIES])
LONGS: Floats = np.array([city.long for city in CITIES])
SHARES: Floats = running_shares(np.array([city.weight for city in CITIES], np.float64))


def _address(text: str) -> int:
    a, b, c, d = (int(part) for part in text.split("."))
    return (a << 24) | (b << 16) | (c << 8) | d


IP_BASES: Numbers = np.array([_address(city.ip_base) for city in CITIES], np.int64)


@cache
def _zones() -> tuple[ZoneInfo, ...]:
    return tuple(ZoneInfo(city.zone) for city in CITIES)


def offsets_us(instant_us: int) -> Numbers:
    """The UTC offset of each city's local time at this instant, summer time included."""
    at = _EPOCH + timedelta(microseconds=int(instant_us))
    return np.array([_offset_us(zone, at) for zone in _zones()], np.int64)


def _offset_us(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(microseconds=1)


def nearest(lat: Floats, long: Floats) -> Numbers:
    """The city that each place lies in or nearest to, as an index into CITIES.

    >>> CITIES[int(nearest(np.array([52.6]), np.array([13.3]))[0])].name
    'Berlin'
    """
    across = np.radians(LATS).astype(np.float32)
    x, y, z = np.cos(across) * np.cos(np.radians(LONGS)), np.cos(across) * np.sin(np.radians(LONGS)), np.sin(across)
    towards = np.stack((x, y, z)).astype(np.float32)
    a, b = np.radians(lat).astype(np.float32), np.radians(long).astype(np.float32)
    here = np.stack((np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)), axis=1)
    return np.asarray(np.argmax(here @ towards, axis=1), np.int64)


def distance_km(lat_a: Floats, long_a: Floats, lat_b: Floats, long_b: Floats) -> Floats:
    """Great-circle distance in kilometres (haversine formula)."""
    a, b = np.radians(lat_a), np.radians(lat_b)
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(long_b - long_a) / 2) ** 2
    distance: Floats = 2.0 * _EARTH_RADIUS_KM * np.arcsin(np.sqrt(h))
    return distance


BETWEEN_KM: Floats = distance_km(LATS[:, None], LONGS[:, None], LATS[None, :], LONGS[None, :])
