"""How far back figures of now look: four ranges, each in buckets that begin at multiples of their length (UTC)."""

from typing import NamedTuple

from penstock.clock import SECOND_US

_HOUR_S, _DAY_S = 3600, 86_400


class Range(NamedTuple):
    """One range. step_us: of a chart's points. bucket_us, buckets: of everything else; a bucket holds whole steps."""

    name: str
    step_us: int
    bucket_us: int
    buckets: int

    @property
    def steps(self) -> int:
        """Points of a chart at most."""
        return self.buckets * self.bucket_us // self.step_us

    def start_us(self, now_us: int) -> int:
        """Where it begins: so many buckets back, that of now included.

        >>> RANGES["5m"].start_us(301 * SECOND_US) // SECOND_US
        30
        """
        return (now_us // self.bucket_us - self.buckets + 1) * self.bucket_us


RANGES = {
    name: Range(name, step_s * SECOND_US, bucket_s * SECOND_US, buckets)
    for name, step_s, bucket_s, buckets in (
        ("5m", 5, 30, 10),
        ("1h", 60, 300, 12),
        ("24h", 900, _HOUR_S, 24),
        ("30d", 21_600, _DAY_S, 30),
    )
}
"""By name."""
