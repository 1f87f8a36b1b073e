"""Rate limits: token buckets, and the limit of sign-in attempts."""

import hashlib
import ipaddress
import math
import secrets

Headers = tuple[tuple[bytes, bytes], ...]

_SECOND_US = 1_000_000
_BUCKETS = 1 << 15
"""Buckets of each limit of sign-ins: with all of them in use, some 10 MB."""


class TokenBucket:
    """A token bucket: a burst, and then so many a second.

    >>> bucket = TokenBucket(per_s=2.0, burst=1)
    >>> bucket.wait_s(0), bucket.wait_s(0), bucket.wait_s(500_000)
    (0.0, 0.5, 0.0)
    """

    __slots__ = ("_at_us", "_burst", "_left", "_per_us", "_policy")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_us = per_s / _SECOND_US
        self._burst = self._left = float(burst)
        self._at_us: int | None = None
        self._policy = b'"key";q=%d;w=%d' % (burst, max(1, math.ceil(burst / per_s)))

    def headers(self) -> Headers:
        """The fields of draft-ietf-httpapi-ratelimit-headers-10: the quota of a window, the requests left of it, and the
        seconds until all of it is available again.

        >>> TokenBucket(per_s=2.0, burst=5).headers()
        ((b'ratelimit-policy', b'"key";q=5;w=3'), (b'ratelimit', b'"key";r=5;t=0'))
        """
        full_s = math.ceil((self._burst - self._left) / self._per_us / _SECOND_US)
        return (b"ratelimit-policy", self._policy), (b"ratelimit", b'"key";r=%d;t=%d' % (self._left, full_s))

    def wait_s(self, now_us: int) -> float:
        """Take a token: 0.0, or the seconds until one is available."""
        if self._at_us is not None:
            self._left = min(self._burst, self._left + max(0, now_us - self._at_us) * self._per_us)
        self._at_us = now_us
        if self._left < 1.0:
            return (1.0 - self._left) / self._per_us / _SECOND_US
        self._left -= 1.0
        return 0.0


class Attempts:
    """The limit of sign-in attempts: five for one name from one address, then one every 30 s; thirty from one address, then
    one every 5 s.

    Buckets are found by a keyed hash in tables of fixed size. So nothing is evicted, whatever names and addresses come,
    and two that share a bucket, which nobody can choose, share its limit. Of IPv6 the network of 64 bits counts, which
    is one client's.

    >>> attempts = Attempts()
    >>> [attempts.wait_s("ana", "10.0.0.1", 0) > 0 for _ in range(6)]
    [False, False, False, False, False, True]
    >>> attempts.succeeded("ana", "10.0.0.1")
    >>> attempts.wait_s("ana", "10.0.0.1", 0)
    0.0
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self.addresses: list[TokenBucket | None] = [None] * _BUCKETS
        self.names: list[TokenBucket | None] = [None] * _BUCKETS

    def wait_s(self, name: str, address: str, now_us: int) -> float:
        """Count an attempt before its result is known, so that concurrent attempts are counted too.

        An attempt over the limit of its address does not count for a name.
        """
        whose = _network(address)
        wait_s = self._wait_s(self.addresses, self._place(whose), now_us, per_s=0.2, burst=30)
        return wait_s or self._wait_s(self.names, self._place(whose, name), now_us, per_s=1 / 30, burst=5)

    def succeeded(self, name: str, address: str) -> None:
        """Reset the failures of this name from this address."""
        self.names[self._place(_network(address), name)] = None

    @staticmethod
    def _wait_s(buckets: list[TokenBucket | None], place: int, now_us: int, *, per_s: float, burst: int) -> float:
        bucket = buckets[place]
        if bucket is None:
            bucket = buckets[place] = TokenBucket(per_s, burst)
        return bucket.wait_s(now_us)

    def _place(self, *whose: str) -> int:
        said = "\0".join(whose).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(said, key=self._key, digest_size=8).digest()) % _BUCKETS


def _network(address: str) -> str:
    """The address, of IPv6 its first 64 bits.

    >>> _network("10.0.0.1"), _network("2001:db8::1"), _network("2001:db8::2"), _network("::ffff:10.0.0.1")
    ('10.0.0.1', '2001:db8::', '2001:db8::', '10.0.0.1')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return address if found.version == 4 else str(ipaddress.ip_network((int(found), 64), strict=False).network_address)
