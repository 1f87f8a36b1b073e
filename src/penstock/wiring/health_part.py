"""The status of one part of a service."""

from typing import Literal

import msgspec

Status = Literal["ok", "degraded", "failed", "absent"]
"""It works; it works partly; it does not work; this service does not have it."""


class PartHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one part. detector: None if it serves all. lag_events, lag_s: number of missing events, and their age."""

    name: str
    status: Status
    text: str
    detector: str | None = None
    lag_events: int | None = None
    lag_s: float | None = None
