"""Ids of events: which are accepted, and new ones for events that come without."""

import re
import secrets

LONGEST_ID = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_RANDOM_BITS = (1 << 62) - 1


def id_problem(id: str) -> str | None:
    r"""Why this text cannot be an id, or None.

    >>> id_problem("tx 1"), id_problem("tx\n1")
    (None, 'holds a control character')
    """
    if not id:
        return "is empty"
    if len(id) > LONGEST_ID:
        return f"has {len(id)} characters"
    return "holds a control character" if _CONTROL.search(id) else None


class NewIds:
    """Makes ids: UUIDs of version 7 (RFC 9562), which sort by arrival and never repeat.

    The random part is drawn once and counted up, so that two processes differ and one never repeats itself.
    """

    def __init__(self) -> None:
        self._random = secrets.randbits(62)

    def make(self, arrived_us: int) -> str:
        """A new id for an event that arrived now."""
        self._random = (self._random + 1) & _RANDOM_BITS
        millisecond, rest = divmod(max(arrived_us, 0), 1000)
        head = f"{millisecond & 0xFFFFFFFFFFFF:012x}7{rest:03x}"
        tail = f"{(1 << 63) | self._random:016x}"
        return f"{head[:8]}-{head[8:12]}-{head[12:]}-{tail[:4]}-{tail[4:]}"
