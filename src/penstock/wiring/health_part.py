"""How one part of a service fares, as it is said everywhere."""

from typing import Literal

import msgspec

Status = Literal["ok", "degraded", "failed", "absent"]
"""It works; it goes on, with less; it does not; this service does not have it."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How one part fares. detector: None where it serves all. lag_events, lag_s: what it still lacks, and how old that is."""

    name: str
    status: Status
    text: str
    detector: str | None = None
    lag_events: int | None = None
    lag_s: float | None = None
