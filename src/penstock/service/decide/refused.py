"""Forwarding of refused events from a service to the worker, which quarantines them for all services."""

import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from penstock.engine import Engine
from penstock.errors import BrokerError
from penstock.ingest import masked_event
from penstock.ledger import Quarantined
from penstock.messages import Refusal

MOST_PER_S = 100
"""Refused events forwarded within a second; further ones are counted, and not kept."""

LONGEST = 65_536
"""Bytes of an event that are forwarded at most."""

_encode = msgspec.json.Encoder().encode


class RefusedForwarder:
    """Forwards refused events, with a limit per second, through the topic of fallback decisions.

    put: publishes, by role and key.
    """

    def __init__(self, put: Callable[[str, str, bytes], None]) -> None:
        self._put = put
        self._second, self._handed = 0, 0

    def hand_on(self, engine: Engine, body: bytes, refusal: Refusal) -> None:
        """Forward one event; if the broker does not take it, it is counted as lost."""
        engine.totals.quarantined += 1
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._handed = second, 0
        self._handed += 1
        if self._handed <= MOST_PER_S:
            with suppress(BrokerError):
                self._put("answers", engine.detector.name, _encode(_kept(engine, body, refusal)))
                return
        engine.totals.quarantine_lost += 1


def _kept(engine: Engine, body: bytes, refusal: Refusal) -> Quarantined:
    where = refusal.errors[0][0] if refusal.errors else None
    kept = masked_event(body[:LONGEST], engine.detector.schema)
    return Quarantined(engine.detector.name, engine.clock(), refusal.detail, where, kept)
