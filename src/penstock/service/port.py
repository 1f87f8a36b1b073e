"""What the service needs of whoever decides: the engine in this process, or later a stand-in for one behind a broker."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from penstock.messages import Refusal
from penstock.models import Ensemble

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
    def folder(self) -> Path | None:
        """Where the detector's file lies, and perhaps sample events beside it."""
        ...


class Decider(Protocol):
    """One detector, ready to decide.

    All methods but `transactions` and `close` are called from one thread, the event loop's, and none of those may wait
    for the disk: durability is reported through `on_durable`. What is refused (malformed, unknown) comes back as a
    `Refusal` in its place; `NotReady`, `LedgerError` and `CapacityError` are raised for a whole batch, of which nothing
    was then applied.
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

    def use(self, ensemble: Ensemble) -> None:
        """Let these models decide from the next batch on.

        Raises:
            BundleError: they do not fit the detector's features.
        """
        ...

    def decide_json(
        self, bodies: Sequence[bytes], *, dry_run: bool = False, on_durable: OnDurable | None = None
    ) -> list[bytes | Refusal]:
        """Decide one micro-batch, in order: decisions as JSON. A dry run changes and records nothing."""
        ...

    def label_json(self, body: bytes, *, on_durable: OnDurable | None = None) -> list[dict[str, Any] | Refusal]:
        """Take in one label or an array of them, in order."""
        ...

    def inform_json(self, bodies: Sequence[bytes], *, on_durable: OnDurable | None = None) -> list[Refusal | None]:
        """Take in informing events, in order; None where one was accepted."""
        ...

    def transaction(self, transaction_id: str) -> bytes | None:
        """The recorded decision as JSON."""
        ...

    def transactions(
        self,
        *,
        limit: int,
        before: str | None,
        decision: str | None,
        entity: str | None,
        key: str | None,
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

    def stats(self) -> dict[str, Any]:
        """`total, approve, review, block, fraud_rate, amount, amount_blocked, per_second, latency_ms, since`."""
        ...

    def describe(self) -> dict[str, Any]:
        """What is served: fields, features, models, rules, policy, versions."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counters since the start by name (`quarantined`, `duplicates`, `degraded`, ...), for Prometheus."""
        ...

    def close(self) -> None:
        """Flush the ledger, write a snapshot of the state and let go of the data folder. May wait for the disk."""
        ...


Opener = Callable[[], Decider]
"""Loads models and recovers state, which may take long; runs in a thread of its own while /ready says why it waits."""
