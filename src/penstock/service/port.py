"""What the service needs of a detector: who decides, who can be looked into, and the desk where requests for it meet.

The routes know `Serving` alone, the desk of one detector. There are two kinds:

    Desk          `service.desk`: over a `Decider`, the engine in this process, which decides in micro-batches
    Beside        `service.beside`: a stand-in for a decider that is elsewhere, a worker behind a broker: it publishes what
                  it is given, and follows what the worker decides

A stand-in keeps a replica: an engine that is brought up to date from what the worker has committed, and never decides
for good. The replica is its `engine`, since that need only be `Looking`; so every route that looks things up works as
it is. Beyond that a stand-in owes:

* `submit` and `decide`: publish, and wait for the decision within the budget; after that the answer that the policy
  names, `degraded` with its cause. `accept`: publish, and return when the broker has it; an event without an id is
  given one first. `label` and `inform` likewise.
* `feed.followed(...)`, on the event loop, for what the worker decided: live pages and counters by outcome are fed from it;
  and `feed.watch.found(ids)` once these can be looked up, which wakes callers who wait for a status. (`Desk` does both by
  `feed.saw`.) `feed.alert(body)` for every alert, from any thread.
* `not_ready`: why nothing can be decided now: the replica is behind, the broker does not answer.

What the replica has recorded of answers given in place of decisions (`Looking.answered`) is shown beside the decision.
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
        """Where the detector's file lies, and perhaps sample events beside it."""
        ...


class Looking(Protocol):
    """One detector, to look into: an engine, or a replica of one that is elsewhere.

    All methods but `transactions`, `decided_about` and `close` are called from one thread, the event loop's, and none of
    those may take more than a moment.
    """

    @property
    def detector(self) -> Declared:
        """What is decided, as declared."""
        ...

    @property
    def version(self) -> str:
        """The version of the detector's declaration."""
        ...

    @property
    def model_version(self) -> str | None:
        """The version of the models that decide; None for rules alone."""
        ...

    @property
    def event_type(self) -> type[msgspec.Struct]:
        """The struct that events are read into; its fields are the schema that /docs shows."""
        ...

    @property
    def informs(self) -> Collection[str]:
        """The values of `type` that mark the informing events it takes."""
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
        """Let these models decide from the next batch on.

        Raises:
            BundleError: they do not fit the detector's features.
        """
        ...

    def use_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members] | None = None) -> None:
        """Let these rules decide from the next batch on, all of them at once, over these lists where any are given.

        Raises:
            DeclarationError: one of them cannot work.
        """
        ...

    def transaction(self, transaction_id: str) -> bytes | None:
        """The recorded decision as JSON."""
        ...

    @property
    def personal(self) -> Personal:
        """Its personal fields, and whose they are."""
        ...

    def answered(self, transaction_id: str) -> Answered | None:
        """What a caller was told in place of the decision, where that did not come in time."""
        ...

    def outcome(self, transaction_id: str) -> dict[str, Any] | None:
        """What became of a transaction, with the facts of its event; None where no decision about it is durable."""
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
        """Recorded decisions as JSON, newest first, and what `before` must be for the next page, a number
        as text (None: there is none).

        May take a while, and is called from any thread.
        """
        ...

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        """The current features of one key; None where it was never seen.

        Raises:
            DeclarationError, MalformedEvent: the detector has no such entity, or the key cannot be one of its.
        """
        ...

    @property
    def entities(self) -> Sequence[str]:
        """What features are computed of, in the order of their declaration."""
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
        """What is served: fields, features, models, rules, policy, versions."""
        ...

    @property
    def tables(self) -> Tables:
        """What is looked up beside the log: quarantine, alerts, labels. For any thread."""
        ...

    def check_json(self, body: bytes) -> Refusal | None:
        """Why this event would be refused for what it says; None where it would be taken. Nothing is changed or kept."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counters since the start by name (`quarantined`, `duplicates`, `degraded`, ...), for Prometheus."""
        ...

    def close(self) -> None:
        """Flush the ledger, write a snapshot of the state and let go of the data folder. May wait for the disk."""
        ...


class Decider(Looking, Protocol):
    """One detector, ready to decide.

    Its methods are called from the event loop's thread, and none may wait for the disk: durability is reported through
    `on_durable`. What is refused (malformed, unknown) comes back as a `Refusal` in its place; `NotReady`, `LedgerError`
    and `CapacityError` are raised for a whole batch, of which nothing was then applied.
    """

    def decide_json(
        self, bodies: Sequence[bytes], *, dry_run: bool = False, on_durable: OnDurable | None = None
    ) -> list[bytes | Refusal]:
        """Decide one micro-batch, in order: decisions as JSON. A dry run changes and records nothing."""
        ...

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be made durable now; None where it can."""
        ...

    def set_aside(self, body: bytes, refusal: Refusal, *, nobodys: bool = False) -> None:
        """Keep in quarantine what was refused before it came here; nobodys: no detector could be found for it."""
        ...

    def label_json(self, body: bytes, *, on_durable: OnDurable | None = None) -> list[dict[str, Any] | Refusal]:
        """Take in one label or an array of them, in order."""
        ...

    def inform_json(self, bodies: Sequence[bytes], *, on_durable: OnDurable | None = None) -> list[Refusal | None]:
        """Take in informing events, in order; None where one was accepted."""
        ...


Opener = Callable[[], Decider]
"""Loads models and recovers state, which may take long; runs in a thread of its own while /ready says why it waits."""


Answer = bytes | Refusal
"""A decision as JSON, or why there is none."""


class Serving(Protocol):
    """The desk of one detector, as the routes see it. Everything but `alert` of its feed is for the event loop's thread.

    name: the detector's. settings: limits. measures, feed: what it measures, and what it shows as it happens.
    models_trouble: why newer models cannot be had.
    """

    name: str
    settings: Settings
    measures: Measures
    feed: Feed
    models_trouble: str | None

    @property
    def engine(self) -> Looking:
        """What can be looked into.

        Raises:
            NotReady: it is still being opened.
        """
        ...

    @property
    def not_ready(self) -> str | None:
        """None, or the reason why this detector can be neither asked nor looked into."""
        ...

    @property
    def unable(self) -> str | None:
        """None, or why requests are better sent elsewhere: `not_ready`, nothing can be made durable, or nobody is there who
        decides.
        """
        ...

    @property
    def degraded(self) -> str | None:
        """None, or why callers get what the policy names in place of decisions, though requests are taken."""
        ...

    @property
    def queued_events(self) -> int:
        """Events that wait to be decided."""
        ...

    async def open(self) -> None:
        """Become ready; until then callers get 503 with the reason."""
        ...

    async def close(self) -> None:
        """Answer what was accepted, then let go."""
        ...

    def use(self, ensemble: Ensemble) -> None:
        """Let these models decide from now on, where they decide here.

        Raises:
            BundleError: they do not fit the detector.
        """
        ...

    def submit(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> Awaitable[list[Answer]]:
        """Ask for the decisions about at most `max_batch` events of one caller; the answers come in order, once durable.

        Raises, at once or when awaited: NotReady, LedgerError, Busy.
        """
        ...

    async def decide(self, bodies: Sequence[bytes], *, dry_run: bool = False) -> list[Answer]:
        """Decide any number of events of one caller, in order."""
        ...

    async def accept(self, bodies: Sequence[bytes]) -> list[str | Refusal]:
        """Take in any number of transactions, in order: their ids, once it is certain that they will be decided."""
        ...

    async def label(self, body: bytes) -> list[dict[str, Any] | Refusal]:
        """Take in one label or an array of them; answered when durable."""
        ...

    async def inform(self, bodies: Sequence[bytes]) -> list[Refusal | None]:
        """Take in informing events; answered when durable."""
        ...

    def set_aside(self, body: bytes, refusal: Refusal, *, nobodys: bool = False) -> None:
        """Let what was refused before it came here be kept in quarantine; nobodys: no detector could be found for it."""
        ...
