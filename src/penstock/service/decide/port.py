"""The port between the routes and a served detector.

The routes know `ServedDetector` alone. There are two implementations:

    MicroBatcher  `service.decide.batcher`: over the engine in this process, which decides in micro-batches
    BrokerClient  `service.decide.broker_client`: for a worker behind a broker: it publishes events, and follows the
                  worker's journal

A broker client keeps a replica: an engine that is brought up to date from the worker's commits, and never decides for
good. The replica is its `engine`, so every query route works unchanged. Beyond that a
broker client must:

* `submit` and `decide`: publish, and wait for the decision within the budget; after that answer with the fallback decision
  of the policy, `degraded` with its cause. `accept`: publish, and return when the broker has it; an event without an id is
  given one first. `label` and `inform` likewise.
* call `feed.followed(...)`, on the event loop, with the worker's decisions, which feeds live pages and counters by outcome;
  and `feed.watch.found(ids)` once these can be looked up, which wakes callers who wait for a status. (`MicroBatcher` does
  both by `feed.saw`.) Call `feed.alert(body)` for every alert, from any thread.
* `not_ready`: why nothing can be decided now: the replica is behind, the broker does not answer.

Fallback decisions that the replica has recorded (`engine.history.answered`) are shown next to the final decision.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from penstock.config import Settings
from penstock.engine import Engine
from penstock.messages import Refusal
from penstock.service.decide.feed import Feed, Measures

OnDurable = Callable[[BaseException | None], None]
"""Called exactly once, from any thread, when all of a batch survives a crash, or with the error that prevents it."""


Opener = Callable[[], Engine]
"""Loads models and recovers state, which may take long; runs in a separate thread while /ready says why it waits."""


Answer = bytes | Refusal
"""A decision as JSON, or why there is none."""

OnAnswer = Callable[[Answer | Exception], None]
"""Called once, on the event loop, with an answer, or with why nothing can be decided."""


class ServedDetector(Protocol):
    """One detector, as the routes see it. Call everything but `feed.alert` on the event loop's thread.

    name: the detector's. settings: limits. measures, feed: measurements, and the live feed. models_trouble: why newer
    models cannot be loaded.
    """

    name: str
    settings: Settings
    measures: Measures
    feed: Feed
    models_trouble: str | None

    @property
    def engine(self) -> Engine:
        """The engine or replica, for queries.

        Raises:
            NotReady: it is still being opened.
        """
        ...

    @property
    def not_ready(self) -> str | None:
        """None, or the reason why this detector cannot serve."""
        ...

    @property
    def unable(self) -> str | None:
        """None, or why requests are better sent elsewhere: `not_ready`, nothing can be made durable, or no worker is alive."""
        ...

    @property
    def degraded(self) -> str | None:
        """None, or why callers get fallback decisions, though requests are accepted."""
        ...

    @property
    def queued_events(self) -> int:
        """Number of events that wait to be decided."""
        ...

    async def open(self) -> None:
        """Open; until then callers get 503 with the reason."""
        ...

    async def close(self) -> None:
        """Answer accepted requests, then release everything."""
        ...

    def submit(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> Awaitable[list[Answer]]:
        """Decide at most `max_batch` events of one caller; the answers come in order, once durable.

        Raises, at once or when awaited: NotReady, LedgerError, Busy.
        """
        ...

    def ask(self, body: bytes, on_answer: OnAnswer) -> None:
        """Decide one event, and tell the answer, once durable.

        Raises: as `submit` does; nothing is told then.
        """
        ...

    async def decide(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> list[Answer]:
        """Decide any number of events of one caller, in order."""
        ...

    async def accept(self, bodies: Sequence[bytes]) -> list[str | Refusal]:
        """Accept any number of transactions, in order; returns their ids, once it is certain that they will be decided."""
        ...

    async def settled(self, transaction_id: str) -> bool:
        """Whether an id without a decision was never submitted: everything is decided that waited when it was first asked
        for, or at a question after that.
        """
        ...

    async def label(self, body: bytes) -> list[dict[str, Any] | Refusal]:
        """Submit one label or an array of them; answered when durable."""
        ...

    async def inform(self, bodies: Sequence[bytes]) -> list[Refusal | None]:
        """Submit informing events; answered when durable."""
        ...

    def quarantine_refused(self, body: bytes, refusal: Refusal, *, unrouted: bool = False) -> None:
        """Quarantine an event that was refused before it came here; unrouted: no detector was found for it."""
        ...
