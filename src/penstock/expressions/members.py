"""List membership in conditions: values with the arrival times for which they are listed."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes

ALWAYS_US = np.iinfo(np.int64).min
NEVER_US = np.iinfo(np.int64).max


class ListMember(NamedTuple):
    """A value on a list, for events that arrive in [since_us, until_us)."""

    value: str
    since_us: int = ALWAYS_US
    until_us: int = NEVER_US


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The content of a list. An event is on it if one of its values is, at the event's arrival time.

    The arrival is recorded with every event, so the same list gives the same answer in every replay, whenever that runs.

    version: names this content, for the recomputation of a decision. values: texts, as often as each came, in the order of the
    table. table: how many there are, their codes in rising order, since when and until when each counts; int64, end to end.

    >>> members = Members.of([ListMember("D1"), ListMember("D2", until_us=100)])
    >>> sorted(members.at(50)), sorted(members.at(100))
    (['D1', 'D2'], ['D1'])
    """

    version: str
    values: NDArray[Any]
    table: NDArray[np.int64]

    @classmethod
    def of(cls, members: Iterable[ListMember], revision: int | None = None) -> "Members":
        """A list of these; revision: counts the changes of a list that changes."""
        ordered = sorted(set(members))
        times = np.array([(member.since_us, member.until_us) for member in ordered], np.int64).reshape(-1, 2)
        return cls.of_columns([member.value for member in ordered], times[:, 0], times[:, 1], revision)

    @classmethod
    def of_columns(
        cls,
        values: Sequence[str],
        since_us: NDArray[np.int64],
        until_us: NDArray[np.int64],
        revision: int | None = None,
    ) -> "Members":
        """The same from columns, for lists that are long; no value comes twice with the same times."""
        codes = text_codes(values)
        order = np.argsort(codes, kind="stable")
        return _made(_texts(values)[order], codes[order], since_us[order], until_us[order], revision)

    def changed(self, removed: Collection[str], added: Collection[ListMember], revision: int) -> "Members":
        """The list without some of its values and with others: as `of` would make it, but without a look at the rest.

        >>> before = Members.of([ListMember("a"), ListMember("b")], 1)
        >>> before.changed(["a"], [ListMember("c")], 2).version == Members.of([ListMember("b"), ListMember("c")], 2).version
        True
        """
        codes, since_us, until_us = np.split(self.table[1:], 3)
        stay = ~np.isin(codes, text_codes(list(removed)))
        new = Members.of(added)
        fresh = np.split(new.table[1:], 3)
        at = np.searchsorted(codes[stay], fresh[0])
        return _made(
            np.insert(self.values[stay], at, new.values),
            np.insert(codes[stay], at, fresh[0]),
            np.insert(since_us[stay], at, fresh[1]),
            np.insert(until_us[stay], at, fresh[2]),
            revision,
        )

    def __len__(self) -> int:
        return len(self.values)

    def at(self, arrived_us: int) -> frozenset[str]:
        """The values that count for an event that arrives now."""
        _, since_us, until_us = np.split(self.table[1:], 3)
        return frozenset(self.values[(since_us <= arrived_us) & (arrived_us < until_us)].tolist())


def _made(
    values: NDArray[Any],
    codes: NDArray[np.int64],
    since_us: NDArray[np.int64],
    until_us: NDArray[np.int64],
    revision: int | None,
) -> Members:
    digest = f"{_digest(codes, since_us, until_us):016x}"
    version = digest[:12] if revision is None else f"{revision}-{digest[:8]}"
    return Members(version, values, np.concatenate([np.array([len(codes)]), codes, since_us, until_us]).astype(np.int64))


def _texts(values: Sequence[str]) -> NDArray[Any]:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _digest(*columns: NDArray[np.int64]) -> int:
    """An order-independent digest of the content: the sum over the entries of all their bits, well mixed.

    The mixing is the finisher of splitmix64 (Steele, Lea and Flood, 2014).
    """
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return int(mixed.sum(dtype=np.uint64))
