"""What a process behind a broker is made of: put together elsewhere, from settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.engine import Engine, FeatureBackfill
from penstock.engine.challenger import NewerTrial
from penstock.errors import PenstockError
from penstock.models import Ensemble
from penstock.rules import NewerRules
from penstock.stream.port import Broker, Sink
from penstock.stream.replica import Replica


class ActivatedFeatures(Protocol):
    """Features that were filled beside an engine; filling: None where it has them already."""

    @property
    def wanted(self) -> Any:
        """What was asked for."""

    @property
    def filling(self) -> FeatureBackfill | None:
        """What is to be swapped in."""


class FeatureActivation(Protocol):
    """Where features come from that are made at run time.

    `prepare` may take a while; then `Engine.activate_features` in the engine's own thread, then `settle`, or `fail` where that fails.
    """

    decides: bool
    """Whether this process's word counts: what it has swapped in is active from then on."""

    def prepare(self, engine: Engine, stopped: Callable[[], bool] = ...) -> ActivatedFeatures | None:
        """What is wanted by now, filled; None where nothing has changed."""

    def settle(self, grown: Any) -> None:
        """It has been swapped in."""

    def fail(self, wanted: Any, error: PenstockError) -> None:
        """It could not be."""

    def again(self) -> None:
        """Look once more, whether anything has changed or not."""


Newer = Callable[[str | None], Ensemble | None]
"""Asked with the version that decides: the models that are champion by now, where these are others; else None."""


@dataclass(frozen=True)
class Parts:
    """What a worker is made of.

    open_replica: the replica of a shard, over the data on this machine. open_sinks: the stores that an owner
    of a shard feeds.
    newer: where models come from; None where the detector declares none. newer_rules: where rules come from; None where
    those of the detector's file decide for ever. newer_trial: what is tried beside the models that decide. guard: looks at
    that, several times a second where this process decides. growing: opens, for one shard, where features come from that are
    made at run time. follow_every_s: time between looks for models.
    """

    broker: Broker
    open_replica: Callable[[int], Replica]
    open_sinks: Callable[[int, Replica], Sequence[Sink]]
    newer: Newer | None = None
    newer_rules: NewerRules | None = None
    newer_trial: NewerTrial | None = None
    guard: Callable[[Engine], None] | None = None
    growing: Callable[[int], FeatureActivation] | None = None
    follow_every_s: float = 2.0
