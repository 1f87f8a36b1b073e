"""Ports of the service: what it needs of a detector to serve decisions and queries.

The routes know `Serving` alone, the serving side of one detector. There are two implementations:

    MicroBatcher  `service.decide.batcher`: over a `Decider`, the engine in this process, which decides in micro-batches
    BrokerClient  `service.decide.broker_client`: for a worker behind a broker: it publishes events, and follows the
                  worker's journal

A broker client keeps a replica: an engine that is brought up to date from the worker's commits, and never decides for
good. The replica is its `engine`, since that need only be `Looking`; so every query route works unchanged. Beyond that a
broker client must:

* `submit` and `decide`: publish, and wait for the decision within the budget; after that answer with the fallback decision
  of the policy, `degraded` with its cause. `accept`: publish, and return when the broker has it; an event without an id is
  given one first. `label` and `inform` likewise.
* call `feed.followed(...)`, on the event loop, with the worker's decisions, which feeds live pages and counters by outcome;
  and `feed.watch.found(ids)` once these can be looked up, which wakes callers who wait for a status. (`MicroBatcher` does
  both by `feed.saw`.) Call `feed.alert(body)` for every alert, from any thread.
* `not_ready`: why nothing can be decided now: the replica is behind, the broker does not answer.

Fallback decisions that the replica has recorded (`Looking.answered`) are shown next to the final decision.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from penstock.config import Settings
from penstock.engine import Personal
from penstock.errors import LedgerError
from penstock.expressions import Members
from penstock.ledger import Answered, Tables
from penstock.messages import Refusal
from penstock.models import Ensemble
from penstock.rules import Rule
from penstock.service.decide.feed import Feed
from penstock.service.decide.measures import Measures

OnDurable = Callable[[BaseException | None], None]
"""Called exactly once, from any thread, when all of a batch survives a crash, or with the error that prevents it."""


class Declared(Protocol):
    """The part of a `penstock.Detector` that the service reads."""

    @property
    def name(self) -> str:
        """The detector's name, unique among those served together."""
        ...

    @property
    def id(self) -> str:
        """The field that holds the transaction id."""
        ...

    @property
    def time(self) -> str:
        """The field that holds the event time."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder of the detector's file, which may hold sample events."""
        ...


class Looking(Protocol):
    """Queries of one detector: an engine, or a replica of one in a worker.

    All methods but `transactions`, `decided_about` and `close` are called from one thread, the event loop's, and none of
    those may take more than a moment.
    """

    @property
    def detector(self) -> Declared:
        """The declared detector."""
        ...

    @property
    def version(self) -> str:
        """The version of the detector's declaration."""
        ...

    @property
    def model_version(self) -> str | None:
        """The version of the deciding models; None for rules alone."""
        ...

    @property
    def event_type(self) -> type[msgspec.Struct]:
        """The struct that events are read into; its fields are the schema that /docs shows."""
        ...

    @property
    def informs(self) -> Collection[str]:
        """The values of `type` that mark its informing events."""
        ...

    @property
    def ready(self) -> str | None:
        """None, or the reason why nothing can be decided yet."""
        ...

    @property
    def degraded(self) -> str | None:
        """None, or the reason why some decisions are the policy's `on_failure`."""
        ...

    def use(self, ensemble: Ensemble) -> None:
        """Decide with these models from the next batch on.

        Raises:
            BundleError: they do not fit the detector's features.
        """
        ...

    def use_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members] | None = None) -> None:
        """Decide with these rules from the next batch on, all of them at once, over these lists if given.

        Raises:
            DeclarationError: one of them is invalid.
        """
        ...

    def transaction(self, transaction_id: str) -> bytes | None:
        """The recorded decision as JSON."""
        ...

    @property
    def personal(self) -> Personal:
        """Its personal fields, and the entities they belong to."""
        ...

    def answered(self, transaction_id: str) -> Answered | None:
        """The fallback decision that the caller got because the decision was late."""
        ...

    def outcome(self, transaction_id: str) -> dict[str, Any] | None:
        """The outcome of a transaction, with facts of its event; None if no decision about it is durable."""
        ...

    def transactions(
        self,
        *,
        limit: int,
        before: str | None,
        decision: str | None,
        entity: str | None,
        key: str | None,
        rule: str | None,
        from_us: int | None,
        to_us: int | None,
    ) -> tuple[list[bytes], str | None]:
        """Recorded decisions as JSON, newest first, and the value of `before` for the next page, a number as text (None:
        there is none).

        May take a while, and is called from any thread.
        """
        ...

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        """The current features of one key; None if it was never seen.

        Raises:
            DeclarationError, MalformedEvent: the detector has no such entity, or the key is invalid for it.
        """
        ...

    @property
    def entities(self) -> Sequence[str]:
        """The entities of the features, in the order of their declaration."""
        ...

    def decided_about(self, entity: str, key: str) -> dict[str, Any]:
        """`decisions` (counts, highest score, first and last seen), `labels`, `recent` and `counted`: see
        `penstock.engine.decision_history`.

        May take a while, and is called from any thread.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        ...

    def series(self) -> dict[str, Any]:
        """Counts and money of the last hour by minute, of the last day by hour: `minutes`, `hours`, `since`."""
        ...

    def stats(self) -> dict[str, Any]:
        """`total, approve, review, block, fraud_rate, intervention_rate, amount, amount_blocked, currency, per_second,
        latency_ms, since`.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """The served definition: fields, features, models, rules, policy, versions."""
        ...

    @property
    def tables(self) -> Tables:
        """Tables of the ledger: quarantine, alerts, labels. For any thread."""
        ...

    def check_json(self, body: bytes) -> Refusal | None:
        """Why this event would be refused for its content; None if it would be accepted. Changes and stores nothing."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counters since the start by name (`quarantined`, `duplicates`, `degraded`, ...), for Prometheus."""
        ...

    def close(self) -> None:
        """Flush the ledger, write a snapshot of the state and release the data folder. May wait for the disk."""
        ...


class Decider(Looking, Protocol):
    """An engine that decides for one detector.

    Its methods are called from the event loop's thread, and none may wait for the disk: durability is reported through
    `on_durable`. A refused event (malformed, unknown) yields a `Refusal` in its place; `NotReady`, `LedgerError` and
    `CapacityError` are raised for a whole batch, of which nothing was then applied.
    """

    def decide_json(
        self, bodies: Sequence[bytes], *, dry_run: bool = False, on_durable: OnDurable | None = None
    ) -> list[bytes | Refusal]:
        """Decide one micro-batch, in order: decisions as JSON. A dry run changes and records nothing."""
        ...

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be made durable now; None if it can."""
        ...

    def set_aside(self, body: bytes, refusal: Refusal, *, nobodys: bool = False) -> None:
        """Quarantine an event that was refused before it came here; nobodys: no detector was found for it."""
        ...

    def label_json(self, body: bytes, *, on_durable: OnDurable | None = None) -> list[dict[str, Any] | Refusal]:
        """Submit one label or an array of them, in order."""
        ...

    def inform_json(self, bodies: Sequence[bytes], *, on_durable: OnDurable | None = None) -> list[Refusal | None]:
        """Submit informing events, in order; None for an accepted one."""
        ...


Opener = Callable[[], Decider]
"""Loads models and recovers state, which may take long; runs in a separate thread while /ready says why it waits."""


Answer = bytes | Refusal
"""A decision as JSON, or why there is none."""


class Serving(Protocol):
    """The serving side of one detector, as the routes see it. Call everything but `feed.alert` on the event loop's thread.

    name: the detector's. settings: limits. measures, feed: measurements, and the live feed. models_trouble: why newer
    models cannot be loaded.
    """

    name: str
    settings: Settings
    measures: Measures
    feed: Feed
    models_trouble: str | None

    @property
    def engine(self) -> Looking:
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

    def use(self, ensemble: Ensemble) -> None:
        """Decide with these models from now on, if it decides here.

        Raises:
            BundleError: they do not fit the detector.
        """
        ...

    def submit(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> Awaitable[list[Answer]]:
        """Decide at most `max_batch` events of one caller; the answers come in order, once durable.

        Raises, at once or when awaited: NotReady, LedgerError, Busy.
        """
        ...

    async def decide(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> list[Answer]:
        """Decide any number of events of one caller, in order."""
        ...

    async def accept(self, bodies: Sequence[bytes]) -> list[str | Refusal]:
        """Accept any number of transactions, in order; returns their ids, once it is certain that they will be decided."""
        ...

    async def label(self, body: bytes) -> list[dict[str, Any] | Refusal]:
        """Submit one label or an array of them; answered when durable."""
        ...

    async def inform(self, bodies: Sequence[bytes]) -> list[Refusal | None]:
        """Submit informing events; answered when durable."""
        ...

    def set_aside(self, body: bytes, refusal: Refusal, *, nobodys: bool = False) -> None:
        """Quarantine an event that was refused before it came here; nobodys: no detector was found for it."""
        ...
