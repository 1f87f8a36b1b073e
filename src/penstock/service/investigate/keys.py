"""Keys of recorded events: identification, display, and recent decisions about them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from penstock.clock import SECOND_US, iso
from penstock.engine import Engine
from penstock.engine.decision_history import summed
from penstock.engine.recent_decisions import DecisionChunk, RecentWindow
from penstock.messages import Action, Record
from penstock.service.insights.insight_schemas import Count
from penstock.service.records.personal import ERASED, HIDDEN, NOT_KEPT
from penstock.service.records.profiles import KeyDecisions, LookedThrough
from penstock.wording import key_text

_SHOWN = 10
"""Characters of a token that are shown."""

HOUR_US, HOURS = 3600 * SECOND_US, 24


class Sparkline(msgspec.Struct):
    """Decisions about a key over time, by when they were decided."""

    step: Annotated[int, Meta(description="Length of a bucket, in seconds.")]
    since: Annotated[str, Meta(description="The instant with which the first bucket begins.")] = msgspec.field(name="from")
    counts: Annotated[list[Count], Meta(description="Decisions in each bucket, oldest first, that of now the last.")]
    stopped: Annotated[list[Count], Meta(description="Of these, those that were not approved.")]


class EventKey(NamedTuple):
    """A key of an event. fields: the event fields that hold it; values: their values; code: its hash in the index."""

    entity: str
    key: str
    fields: tuple[str, ...]
    values: tuple[str | float, ...]
    code: int


def keys_of(engine: Engine, record: Record, row: int) -> list[EventKey]:
    """Every key of a recorded event, in every role, in the order of declaration; a key in two roles comes once."""
    found: dict[tuple[str, str], EventKey] = {}
    state = engine.pipeline.state
    for table in state.tables:
        for columns in table.plan.keys:
            values = [engine.queries.value(record, row, column.name) for column in columns]
            if None in values:
                continue
            said = tuple(value for value in values if value is not None)
            name, key = table.plan.entity.name, "|".join(map(key_text, said))
            fields = tuple(column.name for column in columns)
            if (name, key) in found:
                fields = (*found[name, key].fields, *fields)
            found[name, key] = EventKey(name, key, fields, said, state.key_of(table, said))
    return list(found.values())


def combinations(engine: Engine) -> frozenset[str]:
    """Entities that only combine another with something, such as a customer at a merchant: those who share such a key share
    the other as well.
    """
    tables = engine.pipeline.state.tables
    fields = {table.plan.entity.name: [{column.name for column in key} for key in table.plan.keys] for table in tables}
    whole = {name: set().union(*keys) for name, keys in fields.items()}
    return frozenset(
        name for name, mine in whole.items() if any(key < mine for other in fields if other != name for key in fields[other])
    )


def shown(key: EventKey, personal: Mapping[str, str | None]) -> str:
    """A key for display: its original personal values, or the beginning of a token where these are hidden.

    personal: original values by field, or `HIDDEN`, `ERASED` or `NOT_KEPT`.
    """
    return "|".join(_said(personal.get(name), key_text(value)) for name, value in zip(key.fields, key.values, strict=False))


def _said(text: str | None, kept: str) -> str:
    if text in (HIDDEN, ERASED, NOT_KEPT):
        return f"{kept[:_SHOWN]}\N{HORIZONTAL ELLIPSIS} {text}"
    return kept if text is None else text


def decisions_of(chunk: DecisionChunk) -> KeyDecisions:
    """Decisions: counts, the highest score, first and last event time."""
    return KeyDecisions(**summed(chunk))


def sparkline(chunk: DecisionChunk, now_us: int) -> Sparkline:
    """Decisions by hour of the last day."""
    start_us = (now_us // HOUR_US - HOURS + 1) * HOUR_US
    inside = (chunk.decided_us >= start_us) & (chunk.decided_us <= now_us)
    hours = (chunk.decided_us[inside] - start_us) // HOUR_US
    stopped = hours[chunk.action[inside] != Action.APPROVE.value]
    return Sparkline(
        step=HOUR_US // SECOND_US,
        since=iso(start_us),
        counts=np.bincount(hours, minlength=HOURS).tolist(),
        stopped=np.bincount(stopped, minlength=HOURS).tolist(),
    )


def looked_through(window: RecentWindow) -> LookedThrough:
    """The decisions that these counts cover."""
    return LookedThrough(window.total, None if window.since_us is None else iso(window.since_us), window.complete)


class Records:
    """Reads rows of the log by sequence number, each record once for adjacent rows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: Record | None = None

    def row(self, seq: int) -> tuple[Record, int] | None:
        """The record that holds a sequence number, and its row; None if the log no longer holds it."""
        held = self._held
        if held is None or not held.first_seq <= seq < held.first_seq + len(held):
            found = self._engine.ledger.record_of(seq)
            if found is None:
                return None
            held = self._held = found[0]
        return held, seq - held.first_seq


def known_among(truth: Mapping[int, bool], seqs: Sequence[int]) -> tuple[int, int]:
    """How many of these decisions are known to be fraud, and how many good."""
    said = [truth[seq] for seq in seqs if seq in truth]
    return sum(said), len(said) - sum(said)
