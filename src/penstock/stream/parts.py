"""The parts of a worker, assembled from settings elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.engine import Engine, FeatureBackfill
from penstock.engine.trials.challenger import NewerTrial
from penstock.errors import PenstockError
from penstock.models import Ensemble
from penstock.rules import NewerRules
from penstock.stream.port import Broker, Sink
from penstock.stream.replica import Replica


class ActivatedFeatures(Protocol):
    """Features that were backfilled for an engine; filling: None if it has them already."""

    @property
    def wanted(self) -> Any:
        """The requested features."""

    @property
    def filling(self) -> FeatureBackfill | None:
        """The backfill to activate."""


class FeatureActivation(Protocol):
    """The source of features defined at run time.

    Call `prepare`, which may take a while; then `Engine.activate_features` in the engine's own thread; then `settle`, or
    `fail` if that fails.
    """

    decides: bool
    """Whether this process decides, so that features it activates are active from then on."""

    def prepare(self, engine: Engine, stopped: Callable[[], bool] = ...) -> ActivatedFeatures | None:
        """The requested features, backfilled; None if nothing has changed."""

    def settle(self, grown: Any) -> None:
        """Report that the features were activated."""

    def fail(self, wanted: Any, error: PenstockError) -> None:
        """Report that the features could not be activated."""

    def again(self) -> None:
        """Prepare again, even if nothing has changed."""


Newer = Callable[[str | None], Ensemble | None]
"""Called with the deciding version: the champion's models, if they are others; else None."""


@dataclass(frozen=True)
class Parts:
    """The parts of a worker.

    open_replica: the replica of a shard, over the data on this machine. open_sinks: the sinks that the owner of a shard
    feeds. newer: the source of models; None if the detector declares none. newer_rules: the source of rules; None if
    those of the detector's file decide for ever. newer_trial: the source of shadow trials. guard: checks trials, several
    times a second while this process decides. growing: opens, for one shard, the source of run-time features.
    follow_every_s: time between polls for models.
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
