"""Verification of signed webhooks."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from penstock_client.errors import InvalidSignature


def verify_webhook(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_s: float = 300.0,
    now_s: float | None = None,
) -> None:
    """Check that a webhook was signed with this secret, not long ago. A receiver drops a `webhook-id` that it had before.

    Signatures are those of Standard Webhooks (`webhook-signature`); a message without one may have the older
    `Penstock-Signature` of alerts.

    Args:
        secret: that of the endpoint or channel; several while it is replaced.
        headers: of the request; names in any case.
        body: as received, before any decoding.
        tolerance_s: the largest difference to the receiver's clock.
        now_s: seconds since 1970; the machine's clock unless given.

    Raises:
        InvalidSignature: naming what is wrong.
    """
    given = {name.lower(): value for name, value in headers.items()}
    secrets = [secret] if isinstance(secret, str) else secret
    standard = "webhook-signature" in given
    timestamp = given.get("webhook-timestamp" if standard else "penstock-timestamp", "")
    if not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 15:
        raise InvalidSignature("webhook-timestamp is missing, or is no number of seconds")
    if standard:
        expected = [_standard(each, given.get("webhook-id", ""), timestamp, body) for each in secrets]
        found = given["webhook-signature"].split(" ")
    else:
        expected = [_older(each, timestamp, body) for each in secrets]
        found = [given.get("penstock-signature", "")]
    if not any(hmac.compare_digest(one.encode(), other.encode()) for one in expected for other in found):
        raise InvalidSignature("webhook-signature is not that of this body and secret")
    age_s = (time.time() if now_s is None else now_s) - int(timestamp)
    if abs(age_s) > tolerance_s:
        raise InvalidSignature(f"it was signed {age_s:.0f} s ago; at most {tolerance_s:.0f} s are accepted")


def _standard(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def _older(secret: str, timestamp: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _key(secret: str) -> bytes:
    """The key of a secret: base64 behind `whsec_`, or the text itself."""
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
