"""Alerts by webhook over HTTP(S), in Slack's format or as signed JSON.

Every request carries `Idempotency-Key`, the alert's key: a retry after a lost response carries the same key.
With a secret there is a signature as well, that of Standard Webhooks (`penstock.webhooks.signing`). The older one is sent
for one more version:

    Penstock-Timestamp: 1767225600
    Penstock-Signature: sha256=HEX    HMAC-SHA256 by the secret over the timestamp, a full stop and the body

A receiver computes it again and refuses what is older than a few minutes.
"""

import hashlib
import hmac
import http.client
import ssl
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from penstock.alerts import Alert, Severity, Undelivered, alert_json
from penstock.clock import SECOND_US, Clock, system_clock
from penstock.errors import ConfigurationError
from penstock.webhooks import signing
from penstock.wording import inert

_AGAIN = frozenset({408, 425, 429})
_MOST_ANSWERED = 500

Seconds = Annotated[float, Meta(gt=0, le=60)]


class Webhook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A generic webhook: the alert as JSON, signed where a secret is given.

    Raises:
        ConfigurationError: the URL cannot be posted to.
    """

    kind: ClassVar[str] = "webhook"

    name: str
    url: str
    secret: str | None = None
    severity: Severity = "info"
    timeout_s: Seconds = 5.0
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"channel {self.name!r}: url = {self.url!r} is not an address of HTTPS; it reads https://HOST/PATH"
            )

    def send(self, alert: Alert) -> str:
        """Post the alert; returns the response.

        Raises:
            Undelivered: no answer, or an unsuccessful one.
        """
        return self.post(self.body(alert), alert.key)

    def body(self, alert: Alert) -> bytes:
        """The request body."""
        return alert_json(alert)

    def post(self, body: bytes, key: str, clock: Clock = system_clock) -> str:
        """Post a body under an idempotency key."""
        headers = {"Content-Type": "application/json", "User-Agent": "penstock", "Idempotency-Key": key, **self.headers}
        if self.secret:
            timestamp_s = clock() // SECOND_US
            headers |= signing.headers([self.secret], key, timestamp_s, body)
            timestamp = str(timestamp_s)
            headers |= {"Penstock-Timestamp": timestamp, "Penstock-Signature": signature(self.secret, timestamp, body)}
        return _posted(self.url, body, headers, self.timeout_s)


class Slack(Webhook, kw_only=True, forbid_unknown_fields=True):
    """A webhook that takes `{"text": ...}` as Slack does; Mattermost, Rocket.Chat and Discord's `/slack` do, too."""

    kind: ClassVar[str] = "slack"

    def body(self, alert: Alert) -> bytes:
        """The alert as a message: the title in bold, then the facts."""
        lines = [f"*{_escaped(alert.title)}*"]
        lines += [f"\N{BULLET} {_escaped(reason)}" for reason in alert.reasons]
        if alert.transaction_id is not None:
            lines.append(f"transaction `{_escaped(alert.transaction_id)}`, {_escaped(alert.at)}")
        return msgspec.json.encode({"text": "\n".join(lines)})


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `Penstock-Signature`, the older signature.

    >>> signature("secret", "1767225600", b"{}")[:20]
    'sha256=fa7eaa06bf97d'
    """
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _escaped(text: str) -> str:
    """Escape Slack's three special characters, and neutralise mark-up, links and mentions in field values."""
    text = inert(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("*", "\N{ASTERISK OPERATOR}").replace("`", "'").replace("@", "\N{FULLWIDTH COMMERCIAL AT}")


def _posted(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> str:
    parts = urlsplit(url)
    assert parts.hostname is not None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        connection.request("POST", path, body, headers)
        with connection.getresponse() as answer:
            text = answer.read(_MOST_ANSWERED).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Undelivered(f"{parts.hostname} does not answer: {error or type(error).__name__}", again=True) from error
    finally:
        connection.close()
    if 200 <= answer.status < 300:
        return f"{answer.status} {answer.reason}"
    again = answer.status >= 500 or answer.status in _AGAIN
    raise Undelivered(f"answered {answer.status} {answer.reason}: {text[:200]}", again=again, wait_s=_wait_s(answer))


def _wait_s(answer: http.client.HTTPResponse) -> float:
    said = answer.getheader("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0
