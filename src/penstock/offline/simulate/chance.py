"""Reproducible random numbers as a function of a seed, a name and integers.

No simulated person is stored. Each property of person 4711 (home, habits, whether it travels in a given fortnight) is
hashed from the seed, the property's name and the number. So a property never changes, populations of any size cost no
memory, and a world can go on for ever.

The mixing function is the finaliser of splitmix64 (Steele, Lea and Flood, 2014).
"""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_32 = np.uint64(0xFFFFFFFF)


def mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter every word over 64 bits, one to one."""
    mixed = words + _GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed


@cache
def _salt(seed: int, question: str) -> np.uint64:
    digest = hashlib.blake2b(f"{seed}/{question}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


class Chance:
    """Answers questions about numbered things, always the same way.

    >>> chance = Chance(7)
    >>> someone = np.array([4711])
    >>> bool(chance.uniform("height", someone) == chance.uniform("height", someone))
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def words(self, question: str, *numbers: Numbers) -> NDArray[np.uint64]:
        """64 random bits for every combination of numbers (arrays of one length)."""
        salt = _salt(self.seed, question)
        words = mix(np.asarray(numbers[0]).astype(np.uint64) ^ salt)
        for more in numbers[1:]:
            words = mix(words ^ np.asarray(more).astype(np.uint64))
        return words

    def uniform(self, question: str, *numbers: Numbers) -> Floats:
        """A number in [0, 1) for each."""
        return (self.words(question, *numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, question: str, *numbers: Numbers) -> Floats:
        """A standard normal number for each (Box and Muller, 1958, from the two halves of one word)."""
        words = self.words(question, *numbers)
        radius = ((words >> np.uint64(32)).astype(np.float64) + 1.0) * 2.0**-32
        angle = (words & _LOW_32).astype(np.float64) * (2.0 * np.pi * 2.0**-32)
        return np.sqrt(-2.0 * np.log(radius)) * np.cos(angle)

    def chosen(self, question: str, cumulative: Floats, *numbers: Numbers) -> Numbers:
        """An index into weights given as their running sum that ends in 1, for each."""
        return np.searchsorted(cumulative, self.uniform(question, *numbers), side="right").astype(np.int64)


def running_shares(weights: Floats) -> Floats:
    """Weights as a running sum that ends in exactly 1."""
    cumulative = np.cumsum(weights / weights.sum())
    cumulative[-1] = 1.0
    return cumulative
