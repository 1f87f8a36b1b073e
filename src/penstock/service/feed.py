"""The live feed of one desk: counts by outcome, the newest decisions, and the first block that shows its reasons."""

from collections import Counter, deque
from collections.abc import Sequence

from penstock.messages import Refusal

SHOWN = 64
"""Decisions kept for the page; at high rates the ones between are counted, not shown."""

PER_BATCH = 8
"""Decisions of one batch that are kept at most, so that a page shows several moments and not one batch."""

_MARK = b'"decision":"'


def outcome(decision: bytes) -> str:
    r"""The outcome of a decision as JSON. Quotes inside a text are escaped, so no field's content can be mistaken for it.

    >>> outcome(b'{"transaction_id":"\\"decision\\":\\"x","decision":"BLOCK"}')
    'BLOCK'
    """
    start = decision.find(_MARK) + len(_MARK)
    return decision[start : decision.find(b'"', start)].decode()


class Feed:
    """What the live page and the counters by outcome are fed from."""

    def __init__(self) -> None:
        self.count = 0
        self.outcomes: Counter[str] = Counter()
        self.refused = 0
        self.newest: deque[tuple[int, bytes]] = deque(maxlen=SHOWN)
        self.first_block: bytes | None = None

    def saw(self, answers: Sequence[bytes | Refusal]) -> None:
        """A batch was answered."""
        kept = 0
        for answer in answers:
            if isinstance(answer, Refusal):
                self.refused += 1
                continue
            said = outcome(answer)
            self.count += 1
            self.outcomes[said] += 1
            if said == "BLOCK" and self.first_block is None:
                self.first_block = answer
            if kept < PER_BATCH or said != "APPROVE":
                kept += 1
                self.newest.append((self.count, answer))

    def since(self, number: int) -> list[tuple[int, bytes]]:
        """The kept decisions that came after this one, oldest first."""
        return [(at, decision) for at, decision in self.newest if at > number]
