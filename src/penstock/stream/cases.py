"""The sink that opens cases from ledger records: every decision to review, and a random sample of all others.

Cases are opened asynchronously; no decision waits for one. Whether a transaction is in the sample follows from its id
alone, so a ledger that is read again samples the same ones.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.cases.case import REVIEW, SAMPLE, SOURCE, Key, Known, NewCase, expected_loss
from penstock.cases.store import Cases
from penstock.engine import Engine
from penstock.features.money import Money
from penstock.ledger import Ledger
from penstock.ledger.cursors import Cursor, checksum_of, discarded, misfit
from penstock.messages import Action, Record, Type

CURRENCY = "currency"
"""The text field that names the currency of an event's amount, where no `Money` says another."""

_KEPT_EVERY_S = 10.0
"""Seconds between writes of the position alone. Records that are read twice change nothing."""

_log = logging.getLogger("penstock.cases")


class _Explained(msgspec.Struct):
    reasons: list[dict[str, Any]]


class _Told(msgspec.Struct):
    """The fields read from an answered decision."""

    decision: str
    fraud_probability: float | None
    explanation: _Explained


class CaseSink:
    """Opens cases and adds external outcomes to them: see `penstock.stream.port.Sink`.

    Args:
        cases: the case store, which stores the position together with the cases. Closed by whoever opened it.
        log: identifies this ledger among others in the same database.
        engines: the engine or replica of a detector, by its name; None if it is not served.
        sample: the share of decisions other than reviews that become cases, from 0 to 1.
        ledger: the followed ledger; if given, compared with the one followed before.
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
    ) -> None:
        self._cases, self._log, self._engines, self._sample = cases, log, engines, sample
        self._ledger = ledger
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
        now_s = time.monotonic()
        if opened or known or now_s >= self._kept_s + _KEPT_EVERY_S:
            position, record = records[-1]
            self._cases.follow(self._log, position + 1, opened, known, checksum_of(record))
            self._kept_s = now_s

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
        for row, decision in zip(rows, engine.queries.render(record, rows), strict=True):
            yield self._case(engine, record, row, decision, review=int(actions[row]) == Action.REVIEW.value)

    def _case(self, engine: Engine, record: Record, row: int, decision: bytes, *, review: bool) -> NewCase:
        told = msgspec.json.decode(decision, type=_Told)
        amount, currency = _worth(engine, record, row)
        reasons = told.explanation.reasons
        return NewCase(
            detector=record.detector,
            transaction_id=record.ids[row],
            origin=REVIEW if review else SAMPLE,
            propensity=1.0 if review else self._sample,
            decision=told.decision,
            score=told.fraud_probability,
            amount=amount,
            currency=currency,
            expected_loss=expected_loss(told.fraud_probability, amount, has_amount=engine.detector.schema.amount is not None),
            reason=reasons[0].get("text") if reasons else None,
            event_us=int(record.time_us[row]),
            keys=tuple(_keys(engine, record, row)),
        )


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


def _keys(engine: Engine, record: Record, row: int) -> Iterator[Key]:
    """Every key of the transaction, in every role."""
    for table in engine.pipeline.state.tables:
        for columns in table.plan.keys:
            values = [engine.queries.value(record, row, column.name) for column in columns]
            if None not in values:
                yield Key(table.plan.entity.name, "|".join(map(_text, values)))


def _worth(engine: Engine, record: Record, row: int) -> tuple[float | None, str | None]:
    """The amount of an event, converted by the detector's `Money`, with its currency if declared.

    Without a rate it is the event's original amount, in the currency of its field.
    """
    detector = engine.detector
    moneys = (each for each in detector.features if isinstance(each, Money))
    money = next((each for each in moneys if each.amount == detector.schema.amount), None)
    if money is not None:
        value = engine.queries.value(record, row, money.name)
        if isinstance(value, float):
            return value, money.to
    value = None if detector.schema.amount is None else engine.queries.value(record, row, detector.schema.amount)
    if not isinstance(value, float):
        return None, None
    field = CURRENCY if money is None else money.currency
    named = engine.queries.value(record, row, field) if detector.schema.columns.get(field) is Type.TEXT else None
    return value, named if isinstance(named, str) else None


def _text(value: float | str | None) -> str:
    return str(int(value)) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else str(value)


def _known(record: Record) -> Iterator[Known]:
    columns: Any = record.columns
    for row, transaction_id in enumerate(record.ids):
        if columns["source"][row] != SOURCE:
            known_us = int(columns["known_us"][row])
            yield Known(record.detector, transaction_id, bool(columns["fraud"][row]), columns["source"][row], known_us)
