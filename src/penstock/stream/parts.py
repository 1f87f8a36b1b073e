"""What a process behind a broker is made of: put together elsewhere, from settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.engine import Engine
from penstock.engine.trying import NewerTrial
from penstock.models import Ensemble
from penstock.rules import NewerRules
from penstock.stream.port import Broker, Sink
from penstock.stream.replica import Replica

Newer = Callable[[str | None], Ensemble | None]
"""Asked with the version that decides: the models that are champion by now, where these are others; else None."""


@dataclass(frozen=True)
class Parts:
    """What a worker is made of.

    open_replica: the replica of a shard, over the data on this machine. open_sinks: the stores that an owner
    of a shard feeds.
    newer: where models come from; None where the detector declares none. newer_rules: where rules come from; None where
    those of the detector's file decide for ever. newer_trial: what is tried beside the models that decide. guard: looks at
    that, several times a second where this process decides. follow_every_s: time between looks for models.
    """

    broker: Broker
    open_replica: Callable[[int], Replica]
    open_sinks: Callable[[int, Replica], Sequence[Sink]]
    newer: Newer | None = None
    newer_rules: NewerRules | None = None
    newer_trial: NewerTrial | None = None
    guard: Callable[[Engine], None] | None = None
    follow_every_s: float = 2.0
