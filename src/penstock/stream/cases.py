"""Opening of cases from ledger records: every decision to review, and a random sample of all others.

Cases are opened asynchronously; no decision waits for one. Whether a transaction is in the sample follows from its id
alone, so a ledger that is read again samples the same ones.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.cases.case import MANUAL, REVIEW, SAMPLE, SOURCE, EntityKey, Known, NewCase, expected_loss
from penstock.cases.members import Placed
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import Database
from penstock.database.sqlite import DatabaseTransaction
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.summaries import Headline, HeadlineReader
from penstock.errors import PenstockError
from penstock.ledger import Ledger
from penstock.ledger.cursors import Cursor, checksum_of, discarded, misfit
from penstock.messages import Action, Record
from penstock.stream.sinks import Feeding, name_of, start_feeding
from penstock.webhooks import events as webhook_events
from penstock.webhooks.delivery import Webhooks
from penstock.webhooks.events import Event
from penstock.webhooks.outbox import Interest
from penstock.wording import key_text

_KEPT_EVERY_S = 10.0
"""Seconds between writes of the position alone. Records that are read twice change nothing."""

_log = logging.getLogger("penstock.cases")


class _CaseExplanation(msgspec.Struct):
    reasons: list[dict[str, Any]]


class CaseFields(msgspec.Struct):
    """The fields read from an answered decision."""

    decision: str
    fraud_probability: float | None
    explanation: _CaseExplanation


class CaseSink:
    """Opens cases and adds external outcomes to them: see `penstock.stream.port.Sink`.

    Args:
        cases: the case store, which stores the position together with the cases. Closed by its opener.
        log: identifies this ledger among others in the same database.
        engines: the engine or replica of a detector, by its name; None if it is not served.
        sample: the share of decisions other than reviews that become cases, from 0 to 1.
        ledger: the followed ledger; if given, compared with the one followed before.
        webhooks: announce decisions, labels and opened cases; in the transaction that stores the position.
    """

    name = "cases"

    def __init__(
        self,
        cases: Cases,
        log: str,
        engines: Callable[[str], Engine | None],
        *,
        sample: float,
        ledger: Ledger | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        self._cases, self._log, self._engines, self._sample = cases, log, engines, sample
        self._ledger, self._webhooks = ledger, webhooks
        self._kept_s = 0.0

    def begin(self, fence: int) -> int:  # noqa: ARG002 - opening a case twice does nothing, so nobody needs to be fenced
        """The position of the first record to follow; 0 if another log was followed before."""
        position = self._cases.position(self._log) or 0
        cursor = Cursor(position, self._cases.checksum(self._log))
        wrong = None if self._ledger is None else misfit(self._ledger, cursor)
        if self._ledger is None or wrong is None:
            return position
        tables = self._ledger.tables
        discarded(
            self.name,
            f"the position of cases in the office does not belong to the ledger: {wrong}; one of them was restored from an "
            "older copy. The ledger is followed from its beginning; cases that exist stay as they are",
        )
        self._cases.follow_again(
            self._log,
            lambda detector, transaction_id: any(
                label.source == SOURCE for label in tables.label_history(detector, transaction_id)
            ),
        )
        return 0

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Open the cases of these records."""
        opened = [case for record, rows in self._chosen(records) for case in self._opened(record, rows)]
        known = [each for _, record in records if record.kind == "labels" for each in _known(record)]
        interest = Interest([]) if self._webhooks is None else self._webhooks.outbox.interest()
        events = list(self._events(records, interest)) if interest else []
        now_s = time.monotonic()
        if opened or known or events or now_s >= self._kept_s + _KEPT_EVERY_S:
            position, record = records[-1]
            also = partial(self._announce, events, interest)
            self._cases.follow(self._log, position + 1, opened, known, checksum_of(record), also)
            self._kept_s = now_s

    def _announce(
        self, events: Sequence[Event], interest: Interest, transaction: DatabaseTransaction, new: Sequence[Placed], now_us: int
    ) -> None:
        if self._webhooks is not None:
            cases = (webhook_events.placed(each, now_us) for each in new)
            self._webhooks.outbox.add(transaction, [*events, *(event for event in cases if interest.wants(event))])

    def _events(self, records: Sequence[tuple[int, Record]], interest: Interest) -> Iterator[Event]:
        """The decisions and labels that endpoints of webhooks want."""
        for _, record in records:
            if record.kind == "labels":
                yield from (event for event in webhook_events.labels_of(record) if interest.wants(event))
            engine = self._engines(record.detector)
            if record.kind == "decisions" and engine is not None:
                actions: Any = record.columns["action"]
                kind, detector, arrived_us = webhook_events.DECISION, record.detector, record.arrived_us.tolist()
                rows = [
                    row
                    for row, action in enumerate(np.asarray(actions).tolist())
                    if interest.wants_such(kind, detector, Action(action).name, arrived_us[row])
                ]
                yield from webhook_events.decisions_of(engine, record, rows) if rows else ()

    def close(self) -> None:
        """Nothing to release."""

    def _chosen(self, records: Sequence[tuple[int, Record]]) -> Iterator[tuple[Record, list[int]]]:
        """The records of which cases are opened, with their rows: all are looked at together, for most have few rows."""
        decided = [record for _, record in records if record.kind == "decisions" and len(record)]
        if not decided:
            return
        review = np.concatenate([np.asarray(record.columns["action"]) for record in decided]) == Action.REVIEW.value
        chosen = review | sampled(np.concatenate([record.codes for record in decided]), self._sample)
        ends = np.cumsum([len(record) for record in decided])
        rows = np.flatnonzero(chosen)
        of_record = np.searchsorted(ends, rows, side="right")
        for place in np.unique(of_record).tolist():
            record = decided[place]
            yield record, (rows[of_record == place] - (ends[place] - len(record))).tolist()

    def _opened(self, record: Record, rows: Sequence[int]) -> Iterator[NewCase]:
        engine = self._engines(record.detector)
        if engine is None:
            return
        actions: Any = record.columns["action"]
        headlines = HeadlineReader(engine.detector)
        for row, decision in zip(rows, engine.queries.render(record, rows), strict=True):
            headline = headlines.of(engine.queries, record, row)
            review = int(actions[row]) == Action.REVIEW.value
            chosen = (REVIEW, 1.0) if review else (SAMPLE, self._sample)
            yield _case(engine, record, row, decision, headline, chosen)


def sampled(codes: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Mask of the transactions in a sample of this share, by the codes of their ids.

    The codes are mixed once more, so that the sample is independent of other choices made by them. The mixing is the
    finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).

    >>> codes = np.arange(100_000)
    >>> int(sampled(codes, 0.01).sum()), int(sampled(codes, 0.0).sum()), int(sampled(codes, 1.0).sum())
    (987, 0, 100000)
    """
    mixed = codes.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    chosen: NDArray[np.bool_] = (mixed >> np.uint64(11)) * 2.0**-53 < share
    return chosen


def case_by_hand(engine: Engine, record: Record, row: int) -> NewCase:
    """The case of one recorded decision, opened by a person."""
    [decision] = engine.queries.render(record, [row])
    headline = HeadlineReader(engine.detector).of(engine.queries, record, row)
    return _case(engine, record, row, decision, headline, (MANUAL, 1.0))


def _case(engine: Engine, record: Record, row: int, decision: bytes, headline: Headline, chosen: tuple[str, float]) -> NewCase:
    """chosen: the origin of the case, and with which probability it was chosen. A random sample is judged one by one."""
    fields = msgspec.json.decode(decision, type=prepared(CaseFields))
    amount, reasons = headline.amount, fields.explanation.reasons
    keys = tuple(_keys(engine, record, row))
    return NewCase(
        detector=record.detector,
        transaction_id=record.ids[row],
        origin=chosen[0],
        propensity=chosen[1],
        decision=fields.decision,
        score=fields.fraud_probability,
        amount=amount,
        currency=headline.currency,
        named=tuple(headline.named),
        expected_loss=expected_loss(fields.fraud_probability, amount, has_amount=engine.detector.schema.amount is not None),
        reason=reasons[0].get("text") if reasons else None,
        event_us=int(record.time_us[row]),
        keys=keys,
        subject=None if chosen[0] == SAMPLE else _subject(engine.detector, keys),
        policy=engine.detector.cases,
    )


def _subject(detector: Detector, keys: Sequence[EntityKey]) -> EntityKey | None:
    """The key whose case it is: the first one of the entity that the detector groups by."""
    return next((key for key in keys if key.entity == detector.case_subject), None)


def _keys(engine: Engine, record: Record, row: int) -> Iterator[EntityKey]:
    """Every key of the transaction, in every role."""
    for table in engine.pipeline.state.tables:
        for columns in table.plan.keys:
            values = [engine.queries.value(record, row, column.name) for column in columns]
            if None not in values:
                yield EntityKey(table.plan.entity.name, "|".join(key_text(value) for value in values if value is not None))


def _known(record: Record) -> Iterator[Known]:
    columns: Any = record.columns
    for row, transaction_id in enumerate(record.ids):
        if columns["source"][row] != SOURCE:
            known_us = int(columns["known_us"][row])
            yield Known(record.detector, transaction_id, bool(columns["fraud"][row]), columns["source"][row], known_us)


class CaseWork:
    """The cases of a service, opened from the ledger of its engines or of a replica.

    office: closed by its opener, after this. webhooks: announce what is followed; started and closed with this.

    Raises:
        LedgerError: the database cannot be used.
    """

    def __init__(
        self, detectors: Sequence[Detector], settings: Settings, office: Database, webhooks: Webhooks | None = None
    ) -> None:
        self._names = {detector.name for detector in detectors}
        self._sample = settings.case_sample
        self._engines: dict[str, Engine] = {}
        self._feeding: Feeding | None = None
        self._webhooks = webhooks
        self.cases = Cases(office, lock_minutes=settings.case_lock_minutes)

    def watch(self, engine: Engine) -> None:
        """Open cases for this engine's decisions."""
        self._engines[engine.detector.name] = engine

    def start(self, ledger: Ledger) -> None:
        """Follow a ledger from the stored position; once, and not before every engine is open."""
        if self._feeding is None and self._names <= self._engines.keys():
            log = name_of(ledger)
            sink = CaseSink(self.cases, log, self._engines.get, sample=self._sample, ledger=ledger, webhooks=self._webhooks)
            self._feeding = start_feeding(sink, ledger, 0, _ended)
            if self._webhooks is not None:
                self._webhooks.start(log)

    @property
    def feeding(self) -> Feeding | None:
        """The running sink; None before every engine is open."""
        return self._feeding

    def close(self) -> None:
        """Process durable records, and stop; idempotent."""
        if self._feeding is not None:
            self._feeding.finish(5.0)
        self.stop()

    def stop(self) -> None:
        """Stop at once; the rest is processed after the next start."""
        if self._feeding is not None:
            self._feeding.close()
            self._feeding = None
        if self._webhooks is not None:
            self._webhooks.close()


def _ended(error: PenstockError) -> None:
    _log.error("no more cases are opened: %s", error)
