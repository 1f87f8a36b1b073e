"""The ways into an engine: events as Python objects, frames or JSON, and labels.

Each method reads its input, quarantines the refused events, and passes the others to `decide`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from penstock.clock import Clock, to_us
from penstock.errors import MalformedEvent

if TYPE_CHECKING:  # the rest is imported when an engine is made: `from penstock import Engine` costs nothing
    import numpy as np
    from numpy.typing import NDArray

    from penstock.engine.decide import BatchDecider, OnDurable
    from penstock.engine.labels.store import LabelStore
    from penstock.engine.quarantine import QuarantineWriter
    from penstock.ingest import Reader, ReadEvents
    from penstock.ledger import Ledger, Quarantined
    from penstock.messages import Decision, Refusal

_CHUNK = 1024


class Intake:
    """The methods that take events and labels. `Engine` sets the parts that are declared here."""

    clock: Clock
    ledger: Ledger
    reader: Reader
    decider: BatchDecider
    quarantine: QuarantineWriter
    label_store: LabelStore
    informs: Sequence[str]
    """The values of `type` that mark informing events."""

    # ---- deciding

    def decide(self, event: Mapping[str, Any] | msgspec.Struct, *, dry_run: bool = False) -> Decision:
        """Decide one transaction; durable when this returns. A dry run changes and records nothing.

        Raises:
            MalformedEvent: the event is refused.
            NotReady: declared models are missing.
            LedgerError: the decision cannot be made durable.
        """
        read = self._read_objects([event])
        for row, refusal in read.refused:
            _raise(row, refusal)
        [answer] = self.decider.decide(read, 1, dry_run=dry_run)
        if not isinstance(answer, bytes):
            _raise(0, answer)
        if not dry_run:
            self.ledger.flush()
        return _decoder()(answer)

    def decide_many(
        self, events: Any, *, dry_run: bool = False, on_refused: Callable[[int, Refusal], None] | None = None
    ) -> list[Decision]:
        """Decide a list of events, or a polars frame, in arrival order; all durable when this returns.

        Raises:
            MalformedEvent: an event is refused, unless `on_refused(row, refusal)` takes it; the others are decided.
        """
        decisions: list[Decision] = []
        frame = hasattr(events, "iter_slices")
        pieces = events.iter_slices(_CHUNK) if frame else (events[i : i + _CHUNK] for i in range(0, len(events), _CHUNK))
        first = 0
        for piece in pieces:
            if frame:
                read = self.reader.read_frame(piece, name=f"frame-{self.ledger.next_seq - first}", first=first + 1)
            else:
                read = self._read_objects(piece)
            for row, refusal in read.refused:
                (on_refused or _raise)(first + row, refusal)
            refused = {row for row, _ in read.refused}
            for row, answer in enumerate(self.decider.decide(read, len(piece), dry_run=dry_run)):
                if isinstance(answer, bytes):
                    decisions.append(_decoder()(answer))
                elif row not in refused:
                    (on_refused or _raise)(first + row, answer)
            first += len(piece)
        if not dry_run:
            self.ledger.flush()
        return decisions

    def _read_objects(self, events: Sequence[Any]) -> ReadEvents:
        """Read Python objects; dicts are read as JSON, at a quarter of the cost of reading each value."""
        if set(map(type, events)) == {dict}:
            with suppress(TypeError, ValueError, msgspec.MsgspecError):  # a value that JSON cannot express
                return self.reader.read([_encode(event) for event in events], self.clock())
        return self.reader.read_objects(events, self.clock())

    def decide_json(
        self, bodies: Sequence[bytes], *, dry_run: bool = False, on_durable: OnDurable | None = None
    ) -> list[bytes | Refusal]:
        """Decide one micro-batch of JSON objects, in order; `on_durable` is called when all of it survives a crash."""
        started = time.perf_counter_ns()
        read = self.reader.read(bodies, self.clock())
        if read.refused and not dry_run:
            self.quarantine.keep(bodies, read)
        return self.decider.decide(read, len(bodies), dry_run=dry_run, on_durable=on_durable, started_ns=started)

    def take_json(self, bodies: Sequence[bytes], arrived_us: NDArray[np.int64]) -> tuple[list[Refusal], list[Quarantined]]:
        """Apply transactions and informing events from a broker, each with the time of its arrival.

        Observers get the new decisions. Returns the refusals, and the malformed events for quarantine, which the caller stores.
        """
        import numpy as np

        from penstock.ingest.selection import chosen, runs

        started = time.perf_counter_ns()
        read = self.reader.read(bodies, arrived_us)
        refused = [refusal for _, refusal in read.refused]
        for rows in runs(read.batch.kinds > 0):
            part = replace(chosen(read, rows) if len(rows) < len(read.batch) else read, rows=np.arange(len(rows)), refused=[])
            if read.batch.kinds[rows[0]]:
                self.decider.apply(part, "informing", None)
            else:
                answers = self.decider.decide(part, len(rows), started_ns=started)
                refused += [answer for answer in answers if not isinstance(answer, bytes)]
        return refused, self.quarantine.of(bodies, read)

    # ---- informing events, history and labels

    def inform(self, event: Mapping[str, Any] | msgspec.Struct) -> None:
        """Apply an informing event; durable when this returns.

        Raises:
            MalformedEvent: the event is refused.
        """
        read = self.reader.read_objects([event], self.clock())
        for row, refusal in [*read.refused, *self.not_informing(read)]:
            _raise(row, refusal)
        self.decider.apply(read, "informing", None)
        self.ledger.flush()

    def inform_json(self, bodies: Sequence[bytes], *, on_durable: OnDurable | None = None) -> list[Refusal | None]:
        """Apply informing events given as JSON, in order; None where one was accepted."""
        import numpy as np

        from penstock.ingest.selection import chosen

        if self.ledger.trouble is not None:
            raise self.ledger.trouble
        read = self.reader.read(bodies, self.clock())
        answers: list[Refusal | None] = [None] * len(bodies)
        for row, refusal in [*read.refused, *self.not_informing(read)]:
            answers[row] = refusal
        self.quarantine.keep(bodies, read)
        keep = np.flatnonzero(read.batch.kinds > 0)
        self.decider.apply(chosen(read, keep) if len(keep) < len(read.batch) else read, "informing", on_durable)
        return answers

    def not_informing(self, read: ReadEvents) -> list[tuple[int, Refusal]]:
        """Refusals for those that are transactions."""
        import numpy as np

        from penstock.messages import Refusal

        names = ", ".join(self.informs) or "none"
        text = f"this is a transaction, which is decided by POST /predict; informing events carry a type, one of: {names}"
        return [(int(read.rows[row]), Refusal(422, text, (("type", text),))) for row in np.flatnonzero(read.batch.kinds == 0)]

    def load(self, read: ReadEvents) -> int:
        """Warm the state with recorded history: no decisions, no answers. Returns the number of new events."""
        return self.decider.apply(read, "loaded", None)

    def label(
        self, transaction_id: str, *, fraud: bool, at: datetime | None = None, kind: str | None = None, source: str = "unknown"
    ) -> None:
        """Label a transaction as fraud or good. at: when the label became known; now if None.

        Raises:
            MalformedEvent: there is no such transaction.
        """
        from penstock.engine.labels.store import Statement
        from penstock.messages import Refusal

        known_us = to_us(at) if at is not None else None
        [answer] = self.label_store.submit([Statement(transaction_id, fraud, kind=kind, known_us=known_us, source=source)])
        if isinstance(answer, Refusal):
            raise MalformedEvent(answer.detail, "transaction_id")
        self.ledger.flush()

    def label_json(self, body: bytes, *, on_durable: OnDurable | None = None) -> list[dict[str, Any] | Refusal]:
        """Apply one label given as JSON, or an array of them, in order."""
        from penstock.engine.labels.store import answer_of

        [answer] = self.label_store.submit_json([body])
        if on_durable is not None:
            self.ledger.when_durable(on_durable)
        return [answer_of(each) for each in answer]

    def check_json(self, body: bytes) -> Refusal | None:
        """Why this event would be refused for its content; None if it would be accepted. Changes and stores nothing."""
        read = self.reader.read([body], self.clock())
        return read.refused[0][1] if read.refused else None

    def quarantine_refused(self, body: bytes, refusal: Refusal, *, unrouted: bool = False) -> None:
        """Quarantine an event that was refused before it reached the engine. unrouted: no detector was found for it."""
        self.quarantine.put([(body, refusal)], "" if unrouted else None)


_encode = msgspec.json.Encoder().encode


def _raise(_row: int, refusal: Refusal) -> NoReturn:
    raise MalformedEvent(refusal.detail, refusal.errors[0][0] if refusal.errors else None)


@cache
def _decoder() -> Callable[[bytes], Decision]:
    """The decoder of JSON answers into a Struct."""
    from penstock.decision.render import decision_of

    return decision_of
