"""How a detector's decisions become cases: grouped by their subject, with a priority by what is at stake."""

from dataclasses import dataclass

from penstock.clock import duration_us
from penstock.errors import DeclarationError, MalformedEvent, did_you_mean
from penstock.features.entity import Entity

PRIORITIES = ("low", "normal", "high", "urgent")
"""The priorities, rising; stored as their places."""

NORMAL = PRIORITIES.index("normal")


def priority_place(priority: str) -> int:
    """The place of a priority in `PRIORITIES`.

    Raises:
        MalformedEvent: there is no such priority.
    """
    if priority not in PRIORITIES:
        raise MalformedEvent(f"priority {priority!r} is not known.{did_you_mean(priority, PRIORITIES)}", "priority")
    return PRIORITIES.index(priority)


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePolicy:
    """How decisions to review are grouped into cases, and which cases come first.

    by: the subject: decisions about one key of this entity are one case; that of the first field of the headline unless
    given. within: how far the events of one case may be apart in time from its first. grouped: False for one case per
    transaction. high_loss, urgent_loss: the expected loss of a case from which its priority is high or urgent.

    >>> CasePolicy(high_loss=500, urgent_loss=5_000).priority(750.0)
    2
    """

    by: Entity | None = None
    within: str = "1d"
    grouped: bool = True
    high_loss: float | None = None
    urgent_loss: float | None = None

    def __post_init__(self) -> None:
        """Raises DeclarationError for a limit that cannot be meant."""
        duration_us(self.within, what="CasePolicy: within")
        for name in ("high_loss", "urgent_loss"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise DeclarationError(f"CasePolicy: {name}={limit!r} is no limit of an expected loss; give a number above 0")
        if self.high_loss is not None and self.urgent_loss is not None and self.high_loss >= self.urgent_loss:
            raise DeclarationError(
                f"CasePolicy: high_loss={self.high_loss} is not below urgent_loss={self.urgent_loss}; no case would be high"
            )

    @property
    def within_us(self) -> int:
        """`within` in microseconds."""
        return duration_us(self.within, what="CasePolicy: within")

    def priority(self, loss: float) -> int:
        """The priority of a case with this expected loss, as a place in `PRIORITIES`."""
        reached = [limit is not None and loss >= limit for limit in (self.high_loss, self.urgent_loss)]
        return NORMAL + (2 if reached[1] else 1 if reached[0] else 0)
