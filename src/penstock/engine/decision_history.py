"""Recorded decisions as people ask for them: outcomes, lists, and what was decided about a key."""

import math
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np

from penstock.clock import iso
from penstock.decision import TEXT
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.engine.active_detector import ActiveDetector
from penstock.engine.labels.outcomes import LabelOutcomes
from penstock.engine.queries import KeyRows, RecordQueries
from penstock.engine.recent_decisions import DecisionChunk, RecentDecisions, joined
from penstock.engine.records import rule_of
from penstock.engine.summaries import SummaryReader
from penstock.errors import MalformedEvent
from penstock.ledger import FallbackAnswer, Ledger, LedgerLabel
from penstock.messages import Action, Record, Type

_ORIGINS, _DESTINATIONS = ("origin", "nameOrig"), ("destination", "nameDest")


_MOST_SCANNED = 200_000
"""Rows that one listing reads at most; the answer then says where to go on."""

_MOST_SEARCHED = 20_000
"""Decisions that one search reads at most."""

_SAME_AMOUNT = 0.005
"""Amounts that differ by less are the same."""

Filter = Callable[[Record], Iterable[int]]
"""The rows of a record that are wanted."""

Scanned = tuple[int, Record, int]
"""How many decisions were passed, this one included; its record, and its row."""


class HistoryFields(msgspec.Struct):
    """The fields read from a decision's JSON."""

    decided_at: str
    decision: str
    fraud_probability: float | None
    explanation: "_HistoryExplanation"


class _HistoryExplanation(msgspec.Struct):
    reasons: list[dict[str, Any]]


class DecisionHistory:
    """Read-only questions to the records of one detector; may be asked from any thread."""

    def __init__(
        self, active: ActiveDetector, ledger: Ledger, queries: RecordQueries, recent: RecentDecisions, labels: LabelOutcomes
    ) -> None:
        self._active, self._name, self._facts = active, active.name, facts_of(active.detector)
        self._ledger, self._queries, self._recent_decisions, self._label_outcomes = ledger, queries, recent, labels

    def outcome(self, transaction_id: str) -> dict[str, Any] | None:
        """The outcome of a transaction and the facts of its event; None without a durable decision."""
        found = self._ledger.find(self._name, transaction_id)
        if found is None:
            return None
        record, row = found
        decision = msgspec.json.decode(self._queries.render(record, [row])[0], type=prepared(HistoryFields))
        score = None if decision.fraud_probability is None else round(100 * decision.fraud_probability, 2)
        return {
            "transaction_id": transaction_id,
            "detector": self._name,
            "decision": decision.decision,
            "fraud_probability": decision.fraud_probability,
            "fraud_score": score,
            "reasons": decision.explanation.reasons,
            **{fact: self._queries.value(record, row, field) for fact, field in self._facts.items()},
            "processed_at": decision.decided_at,
        }

    def transactions(
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        decision: str | None = None,
        entity: str | None = None,
        key: str | None = None,
        rule: str | None = None,
        from_us: int | None = None,
        to_us: int | None = None,
        summary: bool = False,
    ) -> tuple[list[bytes], str | None]:
        """Recorded decisions, newest first.

        limit: the most that are given. before: the `next` of the page before. decision: an action. entity, key: of one
        key, in any role. rule: those on which it fired, whether it acted or only watched. from_us, to_us: event times, the end
        excluded. summary: in one line each, a `DecisionSummary`. Returns the decisions and the next `before`.
        """
        position = int(before) if before is not None else None
        rows = self._backwards(position)
        filters: list[Filter] = []
        if decision is not None:
            filters.append(partial(_rows_decided, Action.named(decision)))
        if from_us is not None or to_us is not None:
            filters.append(partial(_rows_between, from_us, to_us))
        if entity is not None:
            filters.append(KeyRows(self._queries, self._active.pipeline.table(entity), key or "").of)
            rows = self._about(entity, key or "", position)
        if rule is not None:
            filters.append(partial(_rows_fired, self._queries, rule))
        written = self._summaries().of if summary else self._queries.render
        page: list[bytes] = []
        at: Record | None = None
        for scanned, record, row in rows:
            if record is not at:
                at, wanted = record, _wanted(record, filters)
            if row in wanted:
                page += written(record, [row])
            if len(page) == limit or scanned >= _MOST_SCANNED:
                return page, str(record.first_seq + row)
        return page, None

    def _backwards(self, before: int | None, scanned: int = 0) -> Iterator[Scanned]:
        for record, row in self._ledger.recent(self._name, before=before):
            scanned += 1
            yield scanned, record, row

    def _about(self, entity: str, key: str, before: int | None) -> Iterator[Scanned]:
        """The decisions that may be about a key, newest first, and the last that one listing reads.

        The newest decisions are found by the codes of their keys, without reading their records, as far as these know the
        entity; earlier ones are all given.
        """
        try:
            code = self._recent_decisions.code_of(entity, key)
        except MalformedEvent:  # it cannot be a key
            return
        newest = next(self._ledger.recent(self._name, before=before, limit=1), None)
        if newest is None:
            return
        end, scanned, held = newest[0].first_seq + newest[1] + 1, 0, newest[0]
        for chunk in reversed(self._recent_decisions.window(fill_s=0.0).chunks):
            if entity not in chunk.keys:
                break
            count = int(np.searchsorted(chunk.seqs, end))
            wanted = (chunk.keys[entity][:count] == code).any(axis=1)
            if scanned < _MOST_SCANNED <= scanned + count:
                wanted[scanned + count - _MOST_SCANNED] = True  # where a listing ends
            for row in reversed(np.flatnonzero(wanted).tolist()):
                seq = int(chunk.seqs[row])
                if not 0 <= seq - held.first_seq < len(held):
                    found = self._ledger.record_of(seq)
                    if found is None:  # the ledger holds it no longer
                        continue
                    held = found[0]
                yield scanned + count - row, held, seq - held.first_seq
            scanned, end = scanned + count, min(end, int(chunk.seqs[0]))
        yield from self._backwards(end, scanned)

    def summaries(self, transaction_ids: Sequence[str]) -> list[bytes]:
        """The decisions on these transactions in one line each, in their order; unknown ids are left out. Call it on the
        thread that decides.
        """
        reader = self._summaries()
        found = self._queries.events(transaction_ids)
        return [reader.of(record, [row])[0] for record, row in (at for at in found if at is not None)]

    def search(self, text: str, *, amount: float | None, limit: int, within_s: float) -> list[bytes]:
        """The newest decisions whose headline contains a text, whatever its case, or that are worth an amount: one line each.

        It reads the newest `_MOST_SEARCHED` decisions, and no longer than `within_s`.
        """
        detector, reader = self._active.detector, self._summaries()
        columns = [TEXT + name for name in detector.headline if name is not None]
        sought, until_s = text.casefold(), time.perf_counter() + within_s
        found: list[bytes] = []
        read, last = 0, -1
        for record, _row in self._ledger.recent(self._name):
            if record.first_seq == last:
                continue
            rows = {
                row
                for name in columns
                if isinstance(values := record.columns.get(name), list)
                for row, value in enumerate(values)
                if value is not None and sought in value.casefold()
            }
            if amount is not None and detector.schema.amount is not None:
                worth = self._queries.numbers(record, detector.schema.amount)
                rows |= set() if worth is None else set(np.flatnonzero(np.abs(worth - amount) < _SAME_AMOUNT).tolist())
            found += reader.of(record, sorted(rows, reverse=True)[: limit - len(found)])
            read, last = read + len(record), record.first_seq
            if len(found) == limit or read >= _MOST_SEARCHED or time.perf_counter() > until_s:
                break
        return found

    def _summaries(self) -> SummaryReader:
        return SummaryReader(self._active.detector, self._queries)

    def answered(self, transaction_id: str) -> FallbackAnswer | None:
        """The fallback decision that a caller got because the decision was late; None if there was none."""
        return self._ledger.tables.answer_of(self._name, transaction_id)

    def of_key(self, entity: str, key: str, *, newest: int = 20) -> dict[str, Any]:
        """The newest decisions about a key; see `recent`.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        window = self._recent_decisions.window()
        try:
            chunk = window.about(entity, [self._recent_decisions.code_of(entity, key)])
        except MalformedEvent:  # it cannot be a key, so nothing was ever decided about it
            chunk = joined([])
        seqs: list[int] = chunk.seqs[::-1].tolist()
        return {
            "decisions": summed(chunk),
            "labels": self._labels(seqs, newest),
            "recent": self._newest(seqs[:newest]),
            "counted": {
                "decisions": window.total,
                "since": None if window.since_us is None else iso(window.since_us),
                "complete": window.complete,
            },
        }

    def _newest(self, seqs: Sequence[int]) -> list[msgspec.Raw]:
        """These decisions, as they were answered."""
        found = [self._ledger.record_of(seq) for seq in seqs]
        return [msgspec.Raw(self._queries.render(each[0], [each[1]])[0]) for each in found if each is not None]

    def _labels(self, seqs: Sequence[int], most: int) -> dict[str, Any]:
        """How many of these decisions are known to be fraud or good, and the newest that are known."""
        known = self._label_outcomes.of(seqs)
        found = [self._ledger.record_of(seq) for seq in list(known)[:most]]
        labels = [self._queries.label(*each) for each in found if each is not None]
        counts = Counter(known.values())
        return {
            "fraud": counts[True],
            "good": counts[False],
            "newest": [_shown(label) for label in labels if label is not None],
        }


def facts_of(detector: Detector) -> dict[str, str]:
    """Which fields of a detector's events are what every payment has: amount, type, origin and destination.

    Origin and destination are the two roles of an entity that has two, in their order, or fields of these names; the type
    is the field of this name, or the only text that ends in `_type`.
    """
    schema = detector.schema
    texts = [name for name, type_ in schema.columns.items() if type_ is Type.TEXT]
    typed = ["type"] if "type" in texts else [name for name in texts if name.endswith("_type")]
    facts: dict[str, str | None] = {"amount": schema.amount, "type": typed[0] if len(typed) == 1 else None}
    entities = [plan.entity for plan in detector.plan.entities]
    two = next((entity.fields for entity in entities if len(entity.roles) == 2), None)
    if two is not None:
        facts |= zip(("origin", "destination"), two, strict=True)
    for fact, names in (("origin", _ORIGINS), ("destination", _DESTINATIONS)):
        facts.setdefault(fact, next((name for name in names if name in schema.columns), None))
    return {fact: field for fact, field in facts.items() if field is not None}


def summed(chunk: DecisionChunk) -> dict[str, Any]:
    """Counts by action, the highest score, and when the first and the last of these events took place."""
    counts = np.bincount(chunk.action, minlength=len(Action))
    highest = float(np.fmax.reduce(chunk.scores)) if len(chunk) else math.nan
    return {
        "total": len(chunk),
        **{action.name.lower(): int(counts[action.value]) for action in Action},
        "highest_score": None if math.isnan(highest) else highest,
        "first_seen": iso(int(chunk.time_us.min())) if len(chunk) else None,
        "last_seen": iso(int(chunk.time_us.max())) if len(chunk) else None,
    }


def _shown(label: LedgerLabel) -> dict[str, Any]:
    return {
        "transaction_id": label.transaction_id,
        "fraud": label.fraud,
        "kind": label.kind,
        "source": label.source,
        "known_at": iso(label.known_us),
    }


def _wanted(record: Record, filters: Sequence[Filter]) -> Container[int]:
    """The rows of a record that all filters want."""
    if not filters:
        return range(len(record))
    return frozenset.intersection(*(frozenset(rows_of(record)) for rows_of in filters))


def _rows_decided(action: Action, record: Record) -> list[int]:
    columns: Any = record.columns
    found: list[int] = np.flatnonzero(np.asarray(columns["action"]) == action.value).tolist()
    return found


def _rows_between(from_us: int | None, to_us: int | None, record: Record) -> list[int]:
    inside = np.ones(len(record), bool)
    inside &= True if from_us is None else record.time_us >= from_us
    inside &= True if to_us is None else record.time_us < to_us
    found: list[int] = np.flatnonzero(inside).tolist()
    return found


def _rows_fired(queries: RecordQueries, rule: str, record: Record) -> list[int]:
    names, x = queries.names_in(record), record.columns["x"]
    places = [place for place, name in enumerate(names) if rule_of(name, names) == rule]
    found: list[int] = np.flatnonzero((x[:, places] == 1).any(axis=1)).tolist()  # type: ignore[call-overload]  # a matrix
    return found
