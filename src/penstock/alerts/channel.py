"""The port of an alert channel: a chat, a mailbox, a webhook receiver."""

from typing import Protocol

from penstock.alerts.alert import SEVERITIES, Alert, Severity
from penstock.errors import PenstockError


class Undelivered(PenstockError):
    """An alert was not delivered. again: whether to retry, wait_s: after at least so long, if the receiver said so."""

    def __init__(self, message: str, *, again: bool, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.again, self.wait_s = again, wait_s


class Channel(Protocol):
    """An alert channel. `send` is called from one thread at a time, may block for seconds, and may be called again with the
    same alert after an answer was lost: the alert's key lets receivers drop duplicates.
    """

    @property
    def name(self) -> str:
        """Its name in the file of alerts."""

    @property
    def severity(self) -> Severity:
        """The lowest severity that it accepts."""

    def send(self, alert: Alert) -> str:
        """Deliver; returns the receiver's answer.

        Raises:
            Undelivered: it was not delivered.
        """


def takes(channel: Channel, alert: Alert) -> bool:
    """Whether an alert is severe enough for a channel."""
    return SEVERITIES.index(alert.severity) >= SEVERITIES.index(channel.severity)
