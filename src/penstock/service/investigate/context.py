"""`GET /context/{id}`: the context of a transaction: labels, case, keys, places and neighbouring transactions."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import Request
from msgspec import Meta

from penstock.cases.members import case_of
from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.engine import Engine
from penstock.engine.recent_decisions import DecisionChunk, RecentWindow
from penstock.engine.records import revisions_of
from penstock.engine.summaries import HeadlineReader
from penstock.errors import DeclarationError, MalformedEvent, NotFound
from penstock.governance.snoozes import SNOOZED, Snoozes
from penstock.identity.roles import Actor, Right
from penstock.ledger import LedgerLabel
from penstock.messages import Action, NamedField, Record, Type
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import printable
from penstock.service.http.requests import DetectorName, actor_of, filled
from penstock.service.http.route import Routes
from penstock.service.insights.insight_schemas import Count
from penstock.service.investigate.cases import CaseForm, case_form
from penstock.service.investigate.keys import (
    EventKey,
    Records,
    Sparkline,
    decisions_of,
    keys_of,
    known_among,
    looked_through,
    shown,
    sparkline,
)
from penstock.service.records.personal import Unmasking
from penstock.service.records.profiles import KeyDecisions, KnownLabel, LookedThrough
from penstock.service.records.snoozes import SnoozeForm, SnoozesByDetector
from penstock.service.records.verification import found_at

AROUND = 20
"""Maximum of neighbours shown before and after a transaction."""

_NORTH, _EAST = ("latitude", "lat"), ("longitude", "long", "lon", "lng")


class SaidLabels(msgspec.Struct):
    """Labels of a transaction."""

    counts: Annotated[KnownLabel | None, Meta(description="The statement that counts; null while nobody has said anything.")]
    history: Annotated[list[KnownLabel], Meta(description="All of them, in the order they were received.")]


class ContextEntity(msgspec.Struct):
    """One key of the transaction: a customer, card, device or merchant, as the detector names it."""

    entity: Annotated[str, Meta(description="What it is.")]
    fields: Annotated[list[str], Meta(description="The fields of the event that hold the key.")]
    key: Annotated[str, Meta(description="The key as it is kept, for `/entities`, rings and filters; a personal one is "
                                         "a token.")]  # fmt: skip
    shown: Annotated[str, Meta(description="The key as the caller may see it.")]
    personal: Annotated[bool, Meta(description="A field of it is personal.")]
    as_of: Annotated[str | None, Meta(description="The instant of the features: the newest event's.")]
    features: Annotated[dict[str, Any] | None, Meta(description="As of now, by name; null where no event of it is in state.")]
    decisions: Annotated[KeyDecisions, Meta(description="What was decided about it, as far as `counted` says.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]
    good: Annotated[Count, Meta(description="Of these, known to be good.")]
    sparkline: Annotated[Sparkline, Meta(description="The last 24 hours, by the hour.")]


class Place(msgspec.Struct):
    """A place in the event."""

    name: Annotated[str, Meta(description="What is there: `transaction`, or as the fields are called, such as `home`.")]
    latitude: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Degrees east.")]
    fields: Annotated[list[str], Meta(description="The two fields that say so.")]


class Neighbour(msgspec.Struct):
    """A transaction of the same customer."""

    transaction_id: Annotated[str, Meta(description="Its id.")]
    event_time: Annotated[str, Meta(description="When it took place.")]
    decision: Annotated[str, Meta(description="APPROVE, CHALLENGE, REVIEW or BLOCK.")]
    fraud_probability: Annotated[float | None, Meta(description="Its score; null where there was none.")]
    amount: Annotated[float | None, Meta(description="What it was worth; null where it does not say.")]
    fraud: Annotated[bool | None, Meta(description="What is known of it; null while nothing is.")]
    place: Annotated[Place | None, Meta(description="Where it took place, if it says.")]
    this: Annotated[bool, Meta(description="It is the transaction that was asked about.")]


class Timeline(msgspec.Struct):
    """Transactions of a customer before and after one."""

    entity: Annotated[str, Meta(description="The entity whose transactions these are: the first that the event has a key of.")]
    key: Annotated[str, Meta(description="Its key, as it is kept.")]
    transactions: Annotated[list[Neighbour], Meta(description="In the order in which they were decided, at most 41.")]
    earlier: Annotated[bool, Meta(description="There are more before these.")]
    later: Annotated[bool, Meta(description="There are more after these.")]


class TransactionContext(msgspec.Struct):
    """The context of a transaction."""

    transaction_id: Annotated[str, Meta(description="Its id.")]
    detector: Annotated[str, Meta(description="Who decided.")]
    event_time: Annotated[str, Meta(description="When it took place.")]
    amount: Annotated[float | None, Meta(description="What it is worth; null where the event does not say.")]
    currency: Annotated[str | None, Meta(description="Of the amounts; null where the detector declares none.")]
    named: Annotated[list[NamedField], Meta(description="Who pays, who is paid, and further fields of the headline.")]
    event: Annotated[dict[str, Any], Meta(description="The fields of the event, personal ones as they are to be shown.")]
    labels: Annotated[SaidLabels, Meta(description="What was said about it.")]
    case: Annotated[CaseForm | None, Meta(description="Its case; null where it has none.")]
    entities: Annotated[list[ContextEntity], Meta(description="Its keys, in the order of declaration.")]
    places: Annotated[list[Place], Meta(description="Its places; none where the detector has no coordinates.")]
    snoozed: Annotated[list[SnoozeForm], Meta(description="Rules that fired and did not act, since they were snoozed for a "
                                                           "key of it.")]  # fmt: skip
    timeline: Annotated[Timeline | None, Meta(description="Its neighbours; null where it has no key.")]
    counted: Annotated[LookedThrough, Meta(description="Over which decisions was looked for keys and neighbours.")]


States = Mapping[tuple[str, str], dict[str, Any] | None]


class _Around:
    """The context of a transaction of one detector, for one actor."""

    def __init__(
        self,
        served: ServedDetector,
        engine: Engine,
        cases: Cases | None,
        personal: Unmasking,
        actor: Actor,
        snoozes: Snoozes | None = None,
    ) -> None:
        self._served, self._engine, self._cases, self._personal, self._actor = served, engine, cases, personal, actor
        self._snoozes = snoozes
        self._places = coordinates(engine)
        self._records = Records(engine)

    def states(self, transaction_id: str) -> States:
        """The current features of every key of a transaction; call it on the thread that decides."""
        record, row = self._found(transaction_id)
        return {(key.entity, key.key): self._state(key) for key in keys_of(self._engine, record, row)}

    def _found(self, transaction_id: str) -> tuple[Record, int]:
        found = self._engine.ledger.find(self._engine.detector.name, transaction_id)
        if found is None:
            raise NotFound(f"there is no transaction {transaction_id[:200]!r}")
        return found

    def _state(self, key: EventKey) -> dict[str, Any] | None:
        try:
            return self._engine.entity(key.entity, key.key)
        except (DeclarationError, MalformedEvent):
            return None

    def context(self, transaction_id: str, states: States) -> bytes:
        """The answer as JSON; waits for the disk and the database."""
        engine, name = self._engine, self._engine.detector.name
        record, row = self._found(transaction_id)
        said = self._personal.of(self._served, transaction_id, self._actor)
        hidden: dict[str, str | None] = {} if said is None else said["fields"]
        window, keys = engine.recent_decisions.window(), keys_of(engine, record, row)
        of_keys = {key: window.about(key.entity, [key.code]) for key in keys}
        truth = engine.label_outcomes.of([seq for chunk in of_keys.values() for seq in chunk.seqs.tolist()])
        counts = engine.queries.label(record, row)
        headline = HeadlineReader(engine.detector).of(engine.queries, record, row)
        return msgspec.json.encode(
            TransactionContext(
                transaction_id=transaction_id,
                detector=name,
                event_time=iso(int(record.time_us[row])),
                amount=headline.amount,
                currency=headline.currency,
                named=headline.named,
                event={**self._event(record, row), **hidden},
                labels=SaidLabels(
                    None if counts is None else _label(counts),
                    [_label(each) for each in engine.queries.labels(record, row)],
                ),
                case=self._case(transaction_id),
                entities=[self._entity(key, of_keys[key], states, truth, hidden) for key in keys],
                places=self._where(record, row),
                snoozed=self._snoozed(record, row, keys),
                timeline=self._timeline(keys[0], of_keys[keys[0]], window, record.first_seq + row, truth) if keys else None,
                counted=looked_through(window),
            )
        )

    def _event(self, record: Record, row: int) -> dict[str, Any]:
        """The fields of the event without the label, which is known only later."""
        detector = self._engine.detector
        label = None if detector.label is None else detector.label.field
        return {
            name: field_value(self._engine.queries.value(record, row, name), type_)
            for name, type_ in detector.schema.columns.items()
            if name != label
        }

    def _case(self, transaction_id: str) -> CaseForm | None:
        if self._cases is None:
            return None
        found = case_of(self._cases.database, self._served.name, transaction_id)
        return None if found is None else case_form(self._cases.case(found))

    def _snoozed(self, record: Record, row: int, keys: Sequence[EventKey]) -> list[SnoozeForm]:
        """The rules that fired and did not act, since they were snoozed for one of these keys."""
        revisions = revisions_of(record)
        if self._snoozes is None or not any(name.startswith(SNOOZED) for name in revisions):
            return []
        held, arrived_us = {(key.entity, key.key) for key in keys}, int(record.arrived_us[row])
        rules = self._engine.queries.held_back(record, row)
        found = [each for rule in rules for each in self._snoozes.at(rule, held, revisions, arrived_us)]
        return [filled(SnoozeForm, each) for each in found]

    def _entity(
        self, key: EventKey, chunk: DecisionChunk, states: States, truth: Mapping[int, bool], hidden: Mapping[str, str | None]
    ) -> ContextEntity:
        state = states.get((key.entity, key.key))
        fraud, good = known_among(truth, chunk.seqs.tolist())
        return ContextEntity(
            entity=key.entity,
            fields=list(key.fields),
            key=key.key,
            shown=shown(key, hidden),
            personal=any(name in hidden for name in key.fields),
            as_of=None if state is None else state["as_of"],
            features=None if state is None else state["features"],
            decisions=decisions_of(chunk),
            fraud=fraud,
            good=good,
            sparkline=sparkline(chunk, self._engine.clock()),
        )

    def _where(self, record: Record, row: int) -> list[Place]:
        """The places in the event."""
        found = []
        for name, fields in self._places.items():
            north, east = (self._engine.queries.value(record, row, field) for field in fields)
            if isinstance(north, float) and isinstance(east, float) and abs(north) <= 90 and abs(east) <= 180:
                found.append(Place(name, north, east, list(fields)))
        return found

    def _timeline(
        self, key: EventKey, chunk: DecisionChunk, window: RecentWindow, seq: int, truth: Mapping[int, bool]
    ) -> Timeline:
        """The neighbours of a transaction among those of its first key."""
        place = int(np.searchsorted(chunk.seqs, seq))
        held = place < len(chunk) and int(chunk.seqs[place]) == seq
        first, stop = max(place - AROUND, 0), place + AROUND + (1 if held else 0)
        seqs = chunk.seqs[first:stop].tolist()
        if not held:  # it is older than the kept ones: later transactions may be missing between
            seqs = [seq, *seqs[place - first :]]
        neighbours = [self._neighbour(each, truth, this=each == seq) for each in seqs]
        return Timeline(
            entity=key.entity,
            key=key.key,
            transactions=[neighbour for neighbour in neighbours if neighbour is not None],
            earlier=first > 0 or not window.complete,
            later=stop < len(chunk),
        )

    def _neighbour(self, seq: int, truth: Mapping[int, bool], *, this: bool) -> Neighbour | None:
        found = self._records.row(seq)
        if found is None:
            return None
        record, row = found
        columns: Any = record.columns
        amount = self._engine.totals.amount
        worth = None if amount is None else self._engine.queries.value(record, row, amount)
        score = float(columns["scores"][row, 0])
        places = self._where(record, row)
        return Neighbour(
            transaction_id=record.ids[row],
            event_time=iso(int(record.time_us[row])),
            decision=Action(int(columns["action"][row])).name,
            fraud_probability=None if np.isnan(score) else score,
            amount=worth if isinstance(worth, float) else None,
            fraud=truth.get(seq),
            place=places[0] if places else None,
            this=this,
        )


def field_value(value: float | str | None, type_: Type) -> Any:
    """A field of a recorded event as it was sent: numbers as numbers, times as ISO 8601.

    >>> field_value(3.0, Type.NUMBER), field_value(1.0, Type.BOOLEAN), field_value(0.0, Type.TIME), field_value(None, Type.TEXT)
    (3, True, '1970-01-01T00:00:00Z', None)
    """
    if not isinstance(value, float):
        return value
    match type_:
        case Type.BOOLEAN:
            return bool(value)
        case Type.TIME:
            return iso(int(value))
    return int(value) if value.is_integer() else value


def coordinates(engine: Engine) -> dict[str, tuple[str, str]]:
    """Pairs of fields that name a place, by its kind: `transaction` unless declared."""
    numbers = [name for name, type_ in engine.detector.schema.columns.items() if type_ is Type.NUMBER]
    found: dict[str, tuple[str, str]] = {}
    for name in numbers:
        for north in _NORTH:
            if not name.lower().endswith(north):
                continue
            prefix = name[: len(name) - len(north)]
            east = next((prefix + word for word in _EAST if prefix + word in numbers), None)
            if east is not None:
                found.setdefault(prefix.strip("_") or "transaction", (name, east))
            break
    return found


def _label(label: LedgerLabel) -> KnownLabel:
    return filled(KnownLabel, label)


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("GET", "/context/{transaction_id:path}", Right.READ, answers=TransactionContext, refuses=(404,))
async def get_transaction_context(
    router: DetectorRouter,
    cases: Cases | None,
    personal: Unmasking,
    snoozes: SnoozesByDetector,
    /,
    transaction_id: str,
    request: Request,
    detector: DetectorName = None,
) -> bytes:
    """The context of a recorded transaction: labels, case, keys with their velocities, places, neighbours."""
    served, engine = found_at(router, detector, printable(transaction_id))
    around = _Around(served, engine, cases, personal, actor_of(request), snoozes.of(served.name))
    states = around.states(printable(transaction_id))  # state is read on the thread that decides
    return await asyncio.to_thread(around.context, printable(transaction_id), states)
