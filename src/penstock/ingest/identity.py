"""Event ids: validation, and generation for events without one."""

import re
import secrets

LONGEST_ID = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_COUNTED_BITS = 48


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
        self._group = f"{0x8000 | secrets.randbits(14):04x}"
        self._next = secrets.randbits(_COUNTED_BITS)

    def make(self, n: int, arrived_us: int) -> list[str]:
        """New ids for n events that arrived now."""
        millisecond, rest = divmod(max(arrived_us, 0), 1000)
        head = f"{millisecond & (1 << 48) - 1:012x}"
        start = f"{head[:8]}-{head[8:]}-7{rest:03x}-{self._group}-"
        first, self._next = self._next, (self._next + n) % (1 << _COUNTED_BITS)
        return [f"{start}{k % (1 << _COUNTED_BITS):012x}" for k in range(first, first + n)]
