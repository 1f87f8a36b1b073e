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
from functools import cache
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from penstock.adapters.webhook_post import WebhookPost
from penstock.alerts import Alert, Severity, Undelivered, alert_json
from penstock.clock import SECOND_US, Clock, system_clock
from penstock.errors import ConfigurationError
from penstock.webhooks import signing
from penstock.wording import inert

_AGAIN = frozenset({408, 425, 429})

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

    def send(self, alert: Alert, *, private: bool = True) -> str:
        """Post the alert; returns the response.

        private: whether addresses that are not public are allowed.

        Raises:
            Undelivered: no answer, or an unsuccessful one.
        """
        return self.post(self.body(alert), alert.key, private=private)

    def body(self, alert: Alert) -> bytes:
        """The request body."""
        return alert_json(alert)

    def post(self, body: bytes, key: str, clock: Clock = system_clock, *, private: bool = True) -> str:
        """Post a body under an idempotency key."""
        headers = {"Content-Type": "application/json", "User-Agent": "penstock", "Idempotency-Key": key, **self.headers}
        if self.secret:
            timestamp_s = clock() // SECOND_US
            headers |= signing.headers([self.secret], key, timestamp_s, body)
            timestamp = str(timestamp_s)
            headers |= {"Penstock-Timestamp": timestamp, "Penstock-Signature": signature(self.secret, timestamp, body)}
        answer = _post(private=private)(self.url, headers, body, self.timeout_s)
        if answer.status is None:
            raise Undelivered(answer.detail, again=True)
        if answer.delivered:
            return answer.detail.partition(": ")[0]
        again = answer.status >= 500 or answer.status in _AGAIN
        raise Undelivered(f"answered {answer.detail}", again=again, wait_s=answer.wait_s)


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


@cache
def _post(*, private: bool) -> WebhookPost:
    return WebhookPost(private=private)
