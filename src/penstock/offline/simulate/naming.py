"""Ids of people, merchants and devices in events, as opaque as real ones."""

import numpy as np
import polars as pl

from penstock.offline.simulate.chance import Numbers
from penstock.offline.simulate.merchants import CATEGORIES
from penstock.offline.simulate.world import World

_SHUFFLE = 387_420_489  # coprime to ten: multiplication permutes the nine-digit numbers
_NINE_DIGITS = 1_000_000_000
_SHIFT = 271_828_183
_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
_DEVICE_LETTERS = 13


def shuffled(number: Numbers) -> Numbers:
    """Numbers below 10^9 permuted, so that neighbours do not look alike."""
    return (number * _SHUFFLE + _SHIFT) % _NINE_DIGITS


def people(person: Numbers, prefix: str = "C") -> pl.Series:
    """Customer ids such as C387420489."""
    digits = pl.Series(shuffled(person)).cast(pl.String)
    return pl.select(pl.lit(prefix) + digits.str.zfill(9)).to_series()


def merchants(world: World, merchant: Numbers) -> pl.Series:
    """Merchant ids that begin with what they sell, such as grocery_387420489."""
    kinds = pl.Series(CATEGORIES).gather(world.merchants.category(merchant).astype(np.uint32))
    digits = pl.Series(shuffled(merchant)).cast(pl.String)
    return pl.select(kinds + pl.lit("_") + digits.str.zfill(9)).to_series()


def devices(device: Numbers) -> pl.Series:
    """Device ids of thirteen letters."""
    powers = 26 ** np.arange(_DEVICE_LETTERS, dtype=np.int64)
    letters = _LETTERS[(device[:, None] // powers) % 26]
    return pl.Series(np.ascontiguousarray(letters).view(f"S{_DEVICE_LETTERS}").reshape(-1).astype(str))
