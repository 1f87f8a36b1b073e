"""The alert message, shown alike by every channel, topic and page."""

from typing import Literal

import msgspec

from penstock.decoding import prepared

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""In ascending order."""

AlertValue = bool | float | str | None
"""A value in JSON's form."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert.

    key: its permanent id; the same alert is never raised twice, so receivers can drop duplicates. at: when it was
    raised, ISO 8601. text: one sentence for people. about: the entity that it concerns, if the rule names one. values:
    what the rule read. If one transaction raised it, its id, decision, score and reasons. suppressed: how many like it
    were suppressed since the last.
    """

    key: str
    rule: str
    detector: str
    severity: Severity
    at: str
    text: str
    about: dict[str, AlertValue] = {}
    values: dict[str, AlertValue] = {}
    transaction_id: str | None = None
    decision: str | None = None
    fraud_probability: float | None = None
    reasons: list[str] = []
    suppressed: int = 0

    @property
    def title(self) -> str:
        """One line: severity, detector, text.

        >>> Alert(key="k", rule="r", detector="banking", severity="critical", at="", text="20 blocks").title
        '[critical] banking: 20 blocks'
        """
        more = f" ({self.suppressed:,} similar alerts suppressed)" if self.suppressed else ""
        return f"[{self.severity}] {self.detector}: {self.text}{more}"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(prepared(Alert)).decode


def alert_json(alert: Alert) -> bytes:
    """The alert as JSON: what the topic, signed webhooks and `GET /alerts` carry."""
    return _encode(alert)


def alert_of(body: bytes) -> Alert:
    """The alert in this JSON."""
    return _decode(body)


def sample(detector: str, at: str, key: str) -> Alert:
    """A test alert, marked as such."""
    text = "this is a test of the channel; nothing happened"
    return Alert(key=key, rule="test", detector=detector, severity="critical", at=at, text=text)
