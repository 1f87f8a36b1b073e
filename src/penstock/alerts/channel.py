"""What a way to people owes: a chat, a mailbox, a system that takes webhooks."""

from typing import Protocol

from penstock.alerts.alert import SEVERITIES, Alert, Severity
from penstock.errors import PenstockError


class Undelivered(PenstockError):
    """An alert was not taken. again: whether it is worth another try, wait_s: after at least so long, where it was said."""

    def __init__(self, message: str, *, again: bool, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.again, self.wait_s = again, wait_s


class Channel(Protocol):
    """A way to people. `send` is called from one thread at a time, may wait for seconds, and may be called again with the same
    alert after an answer was lost: it carries the alert's key, so that receivers can tell.
    """

    @property
    def name(self) -> str:
        """What the file of alerts calls it."""

    @property
    def severity(self) -> Severity:
        """The least severity that it takes."""

    def send(self, alert: Alert) -> str:
        """Deliver; what the other side answered.

        Raises:
            Undelivered: it was not taken.
        """


def takes(channel: Channel, alert: Alert) -> bool:
    """Whether an alert is grave enough for a channel."""
    return SEVERITIES.index(alert.severity) >= SEVERITIES.index(channel.severity)
