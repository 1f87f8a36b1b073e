"""How often somebody may ask: buckets that fill again with time."""

_SECOND_US = 1_000_000
_MOST_REMEMBERED = 10_000


class Bucket:
    """A burst, and then so many a second.

    >>> bucket = Bucket(per_s=2.0, burst=1)
    >>> bucket.wait_s(0), bucket.wait_s(0), bucket.wait_s(500_000)
    (0.0, 0.5, 0.0)
    """

    __slots__ = ("_at_us", "_burst", "_left", "_per_us")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_us = per_s / _SECOND_US
        self._burst = self._left = float(burst)
        self._at_us: int | None = None

    def wait_s(self, now_us: int) -> float:
        """Take one: 0.0, or how many seconds are left until there is one to take."""
        if self._at_us is not None:
            self._left = min(self._burst, self._left + max(0, now_us - self._at_us) * self._per_us)
        self._at_us = now_us
        if self._left < 1.0:
            return (1.0 - self._left) / self._per_us / _SECOND_US
        self._left -= 1.0
        return 0.0


class Attempts:
    """Sign-ins: a few that fail for one name from one address, a few more from one address, then one now and then.

    >>> attempts = Attempts()
    >>> [attempts.wait_s("ana", "10.0.0.1", 0) > 0 for _ in range(6)]
    [False, False, False, False, False, True]
    >>> attempts.succeeded("ana", "10.0.0.1")
    >>> attempts.wait_s("ana", "10.0.0.1", 0)
    0.0
    """

    def __init__(self) -> None:
        self._buckets: dict[tuple[str | None, str], Bucket] = {}

    def wait_s(self, name: str, address: str, now_us: int) -> float:
        """Count an attempt before it is known whether it succeeds, so that many at once are counted too."""
        wide = self._bucket((None, address), per_s=0.2, burst=30)
        narrow = self._bucket((name, address), per_s=1 / 30, burst=5)
        return max(wide.wait_s(now_us), narrow.wait_s(now_us))

    def succeeded(self, name: str, address: str) -> None:
        """Forget what failed before."""
        self._buckets.pop((name, address), None)

    def _bucket(self, whose: tuple[str | None, str], per_s: float, burst: int) -> Bucket:
        if whose not in self._buckets:
            if len(self._buckets) >= _MOST_REMEMBERED:
                self._buckets.pop(next(iter(self._buckets)))
            self._buckets[whose] = Bucket(per_s, burst)
        return self._buckets[whose]
