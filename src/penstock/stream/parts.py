"""The parts of a worker, assembled from settings elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.engine import Engine
from penstock.engine.following import Follower
from penstock.errors import PenstockError
from penstock.stream.port import Broker, Sink
from penstock.stream.replica import Replica
from penstock.stream.store_process import StoreProcess


@dataclass(frozen=True)
class Parts:
    """The parts of a worker.

    open_replica: the replica of a shard, over the data on this machine. open_sinks: the sinks that the owner of a shard
    feeds in its own process. feed_stores: starts the process that feeds the others, given the owner's number and what to call
    where ownership has to end; None if there are none. followers: for a shard, and a function that says whether this process
    decides there, what is followed while it works: models, rules, trials, features. guard: checks trials, several times a
    second while this process decides.
    """

    broker: Broker
    open_replica: Callable[[int], Replica]
    open_sinks: Callable[[int, Replica], Sequence[Sink]]
    followers: Callable[[int, Callable[[], bool]], Sequence[Follower[Any]]] = lambda _shard, _decides: ()
    feed_stores: Callable[[int, Replica, int, Callable[[PenstockError], None]], StoreProcess | None] = lambda *_: None
    guard: Callable[[Engine], None] | None = None
