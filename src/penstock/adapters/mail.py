"""Alerts by e-mail over SMTP, with STARTTLS or TLS and a login as configured."""

import smtplib
import socket
import ssl
import time
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from penstock.adapters.webhook_post import NotPublic, connected
from penstock.alerts import Alert, Severity, Undelivered
from penstock.errors import ConfigurationError
from penstock.wording import inert

_FOR_GOOD = 500
"""SMTP's codes from here on say that trying again is of no use."""


class Mail(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"sender": "from", "receivers": "to"}):
    """An SMTP channel to one or several mailboxes. tls: `starttls` (the default), `tls` from the first byte on, or `none`.

    Raises:
        ConfigurationError: no recipient is named.
    """

    kind: ClassVar[str] = "email"

    name: str
    host: str
    sender: str
    receivers: list[str]
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = None
    severity: Severity = "warning"
    timeout_s: Annotated[float, Meta(gt=0, le=120)] = 15.0

    def __post_init__(self) -> None:
        wrong = [address for address in (self.sender, *self.receivers) if "@" not in address or "\n" in address]
        if wrong or not self.receivers:
            raise ConfigurationError(f"channel {self.name!r}: {wrong or 'an empty list'} cannot be written to; write name@host")

    def send(self, alert: Alert, *, private: bool = True) -> str:
        """Send one message; whom it was taken for.

        private: whether addresses of servers that are not public are allowed.

        Raises:
            Undelivered: the server does not answer or refuses; again, unless it refuses for good.
        """
        try:
            with self._connected(private=private) as server:
                refused = server.send_message(self.message(alert))
        except NotPublic as error:
            raise Undelivered(str(error), again=True) from error
        except (OSError, smtplib.SMTPException) as error:
            raise self._undelivered(error) from error
        taken = [address for address in self.receivers if address not in refused]
        return "taken for " + ", ".join(taken) + (f"; refused: {_refusals(refused)}" if refused else "")

    def _undelivered(self, error: OSError) -> Undelivered:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            again = any(code < _FOR_GOOD for code, _ in error.recipients.values())
            return Undelivered(f"nobody was accepted: {_refusals(error.recipients)}", again=again)
        if isinstance(error, smtplib.SMTPResponseException):
            said = f"{self.host} answered {error.smtp_code} {_text(error.smtp_error)}"
            return Undelivered(said, again=error.smtp_code < _FOR_GOOD)
        return Undelivered(f"{self.host}:{self.port} does not answer: {error or type(error).__name__}", again=True)

    def message(self, alert: Alert) -> EmailMessage:
        """The alert as a message; its id is derived from the alert's key, so that mailboxes recognise a repetition."""
        message = EmailMessage()
        message["Subject"] = " ".join(inert(alert.title).split())[:200]
        message["From"] = self.sender
        message["To"] = ", ".join(self.receivers)
        message["Date"] = format_datetime(datetime.fromisoformat(alert.at))
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "." for c in alert.key)
        message["Message-ID"] = f"<{safe}@penstock>"
        message.set_content("\n".join(_lines(alert)) + "\n")
        return message

    def _connected(self, *, private: bool) -> smtplib.SMTP:
        context = ssl.create_default_context()
        kinds = (smtplib.SMTP, smtplib.SMTP_SSL) if private else (_PublicSmtp, _PublicSmtpOverTls)
        if self.tls == "tls":
            server: smtplib.SMTP = kinds[1](self.host, self.port, timeout=self.timeout_s, context=context)
        else:
            server = kinds[0](self.host, self.port, timeout=self.timeout_s)
        try:
            if self.tls == "starttls":
                server.starttls(context=context)
            if self.user is not None:
                server.login(self.user, self.password or "")
        except BaseException:
            server.close()
            raise
        return server


class _PublicSmtp(smtplib.SMTP):
    """Connects to public addresses alone."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = connected(host, port, time.monotonic() + timeout, private=False)
        connection.settimeout(timeout)
        return connection


class _PublicSmtpOverTls(smtplib.SMTP_SSL, _PublicSmtp):
    """The same, over TLS from the first byte on."""


def _lines(alert: Alert) -> list[str]:
    lines = [inert(alert.title), ""]
    lines += [f"- {inert(reason)}" for reason in alert.reasons]
    facts: dict[str, Any] = {"rule": alert.rule, "raised at": alert.at}
    facts |= {"transaction": alert.transaction_id, "decision": alert.decision}
    facts |= {"fraud probability": alert.fraud_probability, **alert.about, **alert.values, "key": alert.key}
    return lines + [f"{inert(name)}: {inert(str(value))}" for name, value in facts.items() if value is not None]


def _refusals(refused: "dict[str, tuple[int, bytes]]") -> str:
    return ", ".join(f"{address} ({code} {_text(why)})" for address, (code, why) in refused.items())


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
