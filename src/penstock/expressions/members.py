"""Lists as conditions read them: which values are on a list, and for which arrivals."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes

ALWAYS_US = np.iinfo(np.int64).min
NEVER_US = np.iinfo(np.int64).max


class Member(NamedTuple):
    """A value on a list, for events that arrive in [since_us, until_us)."""

    value: str
    since_us: int = ALWAYS_US
    until_us: int = NEVER_US


@dataclass(frozen=True, slots=True)
class Members:
    """What a list holds. An event is on it where one of its values is, at the time at which the event arrived.

    The arrival is recorded with every event, so the same list gives the same answer in every replay, whenever that runs.

    version: names this content, for whoever repeats a decision. values: as often as each came, in the order of the table.
    table: how many there are, their codes in rising order, since when and until when each counts; int64, end to end.

    >>> members = Members.of([Member("D1"), Member("D2", until_us=100)])
    >>> members.at(50), members.at(100)
    (frozenset({'D1', 'D2'}), frozenset({'D1'}))
    """

    version: str
    values: tuple[str, ...]
    table: NDArray[np.int64]

    @classmethod
    def of(cls, members: Iterable[Member], revision: int | None = None) -> "Members":
        """A list of these; revision: counts the changes of a list that changes."""
        ordered = sorted(set(members))
        codes = text_codes([member.value for member in ordered])
        order = np.argsort(codes, kind="stable")
        times = np.array([(member.since_us, member.until_us) for member in ordered], np.int64).reshape(-1, 2)[order]
        table = np.concatenate([[len(ordered)], codes[order], times[:, 0], times[:, 1]]).astype(np.int64)
        digest = hashlib.sha256("\0".join(f"{m.value}\0{m.since_us}\0{m.until_us}" for m in ordered).encode()).hexdigest()
        version = digest[:12] if revision is None else f"{revision}-{digest[:8]}"
        return cls(version, tuple(ordered[at].value for at in order.tolist()), table)

    def __len__(self) -> int:
        return len(self.values)

    def at(self, arrived_us: int) -> frozenset[str]:
        """The values that count for an event that arrives now."""
        n = len(self.values)
        since, until = self.table[1 + n : 1 + 2 * n], self.table[1 + 2 * n :]
        held = np.flatnonzero((since <= arrived_us) & (arrived_us < until))
        return frozenset(self.values[at] for at in held.tolist())
