"""Verification of signed webhooks."""

import hashlib
import hmac
import time
from collections.abc import Mapping

from penstock_client.errors import InvalidSignature


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance_s: float = 300.0, now_s: float | None = None
) -> None:
    """Check that a webhook was signed with this secret, not long ago. A receiver drops what `Idempotency-Key` repeats.

    Args:
        secret: that of the channel.
        headers: of the request; names in any case.
        body: as received, before any decoding.
        tolerance_s: the largest difference to the receiver's clock.
        now_s: seconds since 1970; the machine's clock unless given.

    Raises:
        InvalidSignature: naming what is wrong.
    """
    given = {name.lower(): value for name, value in headers.items()}
    timestamp, signature = given.get("penstock-timestamp", ""), given.get("penstock-signature", "")
    if not timestamp.isascii() or not timestamp.isdecimal():
        raise InvalidSignature("Penstock-Timestamp is missing, or is no number of seconds")
    expected = "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise InvalidSignature("Penstock-Signature is not that of this body and secret")
    age_s = (time.time() if now_s is None else now_s) - int(timestamp)
    if abs(age_s) > tolerance_s:
        raise InvalidSignature(f"it was signed {age_s:.0f} s ago; at most {tolerance_s:.0f} s are accepted")
