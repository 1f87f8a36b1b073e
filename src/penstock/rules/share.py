"""The rollout share of a rule: a stable share of the keys of one field."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_code
from penstock.errors import DeclarationError

_LAST = np.nextafter(100.0, 0.0)


@dataclass(frozen=True, slots=True)
class KeyShare:
    """The keys between two percentages, `begin` included and `end` not: the same keys on every machine and in every run.

    Args:
        of: a text field or feature; without it, nothing: a rule that only watches.
        begin, end: percentages. A version that takes over from another has [0, n), the other [n, 100).
        seed: two rules of different seeds pick different keys.

    >>> share = KeyShare("customer_id", 0, 10, seed="amount_spike")
    >>> codes = np.array([text_code(f"C{n}") for n in range(10_000)])
    >>> round(float(share.holds(codes).mean()), 2)
    0.1

    Raises:
        DeclarationError: the percentages are none.
    """

    of: str | None = None
    begin: float = 0.0
    end: float = 0.0
    seed: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.begin <= self.end <= 100:
            raise DeclarationError(f"a share from {self.begin} to {self.end} per cent cannot be; 0 <= begin <= end <= 100")
        if self.of is None and self.end > self.begin:
            raise DeclarationError(
                "a share of the traffic needs a field whose keys are shared out, as in Share('customer_id', 0, 10)"
            )

    @property
    def watches(self) -> bool:
        """Whether it is nothing."""
        return self.begin == self.end

    def holds(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which keys are in it, by their codes; null keys are in the share that reaches 100."""
        part = bucket(codes, self.seed)
        return (part >= self.begin) & (part < self.end)


def bucket(codes: NDArray[np.int64], seed: str) -> NDArray[np.float64]:
    """Where each key stands between 0 and 100; evenly, and for another seed elsewhere.

    The finisher of splitmix64 over the key's code. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators" (2014).
    """
    mixed = codes.view(np.uint64) ^ np.int64(text_code(seed)).view(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    part = (mixed >> np.uint64(11)).astype(np.float64) * (100.0 / 2.0**53)
    return np.where(codes == 0, _LAST, part)
