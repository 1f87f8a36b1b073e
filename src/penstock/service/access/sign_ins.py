"""Sign-in attempts: rate-limited by name and address, counted, and failures written to the security log."""

import hashlib
import ipaddress
import logging
import secrets
from collections import Counter
from collections.abc import Iterable

from penstock.clock import Clock
from penstock.errors import ConfigurationError
from penstock.service.http.rate_limit import Attempts, TokenBucket

log = logging.getLogger("penstock.security")

WAYS = ("password", "oidc")
OUTCOMES = ("succeeded", "failed", "limited")

_LIMITED_LINES_PER_S, _LIMITED_LINES_BURST = 1.0, 20
"""Log lines about rate-limited attempts; all of them are counted."""

_LONGEST_REASON = 300

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SignIns:
    """Limits and counts sign-in attempts. counts: by way and outcome.

    Args:
        clock: for the limits.
        trusted_proxies: addresses and networks, separated by spaces, whose `X-Forwarded-For` is trusted.

    Raises:
        ConfigurationError: one of them is neither an address nor a network.
    """

    def __init__(self, clock: Clock, trusted_proxies: str = "") -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._clock = clock
        self._proxies = [_network(each) for each in trusted_proxies.split()]
        self._attempts = Attempts()
        self._lines = TokenBucket(_LIMITED_LINES_PER_S, _LIMITED_LINES_BURST)
        self._key = secrets.token_bytes(16)

    def address(self, peer: str, forwarded: Iterable[str]) -> str:
        """The client address of an attempt: that of the connection or, behind trusted proxies, of their client.

        forwarded: the values of `X-Forwarded-For`, in order. Every proxy appends the address it saw, so the last address
        that belongs to no trusted proxy counts; anything before it can be forged.
        """
        addresses = [*(part.strip() for value in forwarded for part in value.split(",")), peer]
        while len(addresses) > 1 and self._trusts(addresses[-1]) and _parsed(addresses[-2]) is not None:
            addresses.pop()
        return addresses[-1]

    def wait_s(self, way: str, name: str, address: str) -> float:
        """Seconds until this attempt is allowed; 0.0: now, and it counts."""
        now = self._clock()
        wait_s = self._attempts.wait_s(name, address, now)
        if wait_s:
            self.counts[way, "limited"] += 1
            if not self._lines.wait_s(now):
                self._write("limited", way, address, None, "too many attempts")
        return wait_s

    def succeeded(self, way: str, name: str, address: str) -> None:
        """Count a success, and reset the failures of this name from this address."""
        self.counts[way, "succeeded"] += 1
        self._attempts.succeeded(name, address)

    def failed(self, way: str, address: str, reason: str, *, name: str | None = None, known: bool = False) -> None:
        """Count and log a failure. known: a user has this name; another is logged as a hash, as it may be a password."""
        self.counts[way, "failed"] += 1
        said = {} if name is None else {"user": name} if known else {"name_hash": self._hash(name)}
        self._write("failed", way, address, said, reason)

    def _write(self, outcome: str, way: str, address: str, said: dict[str, str] | None, reason: str) -> None:
        reason = "".join(character if character.isprintable() else "?" for character in reason[:_LONGEST_REASON])
        extra = {"event": f"sign_in_{outcome}", "way": way, "address": address, "reason": reason, **(said or {})}
        shown = "".join(f", {key} {value!r}" for key, value in (said or {}).items())
        log.warning("sign-in %s: by %s from %s%s: %s", outcome, way, address, shown, reason, extra=extra)

    def _hash(self, name: str) -> str:
        """A keyed hash of the name, stable until this process ends; it cannot be reversed by guessing."""
        return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).hexdigest()

    def _trusts(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._proxies)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _network(written: str) -> Network:
    try:
        return ipaddress.ip_network(written, strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"trusted_proxies has {written!r}, which is no address or network ({error}); write 10.0.0.7 or 10.0.0.0/8"
        ) from None
