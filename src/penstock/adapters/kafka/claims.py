"""The owner of a journal on Kafka: the writer of its newest claim.

A claim is a message of the journal, and its offset is its number. An owner names its claim in a header of each message that it
writes; a message counts while that claim is the newest one before it. So an owner that was frozen, or cut off, writes nothing
that counts, and all readers agree, because they need the messages alone. Messages without the header are those of version 0.1,
which wrote in transactions; they count up to the first claim.
"""

from typing import Any

CLAIM = "penstock-claim"
"""The header with the number of the writer's claim; empty in the claim itself, which has no number before it is written."""

RELEASED = "penstock-released"
"""The header of an owner's last message."""


def place_of(offset: int, claim: int | None) -> str:
    """The position of an entry, with the claim that it was written under: what a reader needs to go on behind it.

    >>> place_of(17, 12), place_of(17, None)
    ('17@12', '17')
    """
    return str(offset) if claim is None else f"{offset}@{claim}"


def parts_of(place: str) -> tuple[int, int | None]:
    """Offset and claim of a position.

    >>> parts_of("17@12"), parts_of("17")
    ((17, 12), (17, None))
    """
    offset, _, claim = place.partition("@")
    return int(offset), int(claim) if claim else None


class JournalClaims:
    """The newest claim, while a journal is read message by message. newest: its number; None before the first claim.

    begun: whether its owner has written since. released: whether its owner has released it.
    """

    def __init__(self, newest: int | None = None) -> None:
        self.newest = newest
        self.released, self.begun = False, True

    def counts(self, message: Any) -> bool:
        """Whether a message is its owner's; a claim is one from here on."""
        headers = dict(message.headers() or ())
        named = headers.get(CLAIM)
        if named == b"":
            self.newest, self.released, self.begun = message.offset(), False, False
        elif named != (None if self.newest is None else b"%d" % self.newest):
            return False
        else:
            self.begun = True
        self.released = RELEASED in headers
        return True
