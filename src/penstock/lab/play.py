"""Simulated events through an engine in memory, in portions, with labels at the time they become known."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import polars as pl

from penstock.decoding import prepared
from penstock.engine import Engine
from penstock.errors import MalformedEvent
from penstock.lab.bench import Bench
from penstock.lab.source import EventSource, SimulatedEvents
from penstock.messages import Decision, Refusal
from penstock.offline.evaluate import by_attack, keys_of
from penstock.wiring.traffic.events import recorded_items

_decision = msgspec.json.Decoder(prepared(Decision))


class PlayedEvent(NamedTuple):
    """One decided event."""

    id: str
    time: datetime
    decision: str
    probability: float | None
    why: str


def play(bench: Bench, source: EventSource, version: str | None, portions: int) -> Iterator[list[PlayedEvent]]:
    """Decide the events of a source in order, and return them in this many portions.

    Raises:
        MalformedEvent: an event is refused.
        NotReady: the detector declares models, and no version is given.
    """
    recorded, detector = bench.recorded(source), bench.detector(source.detector)
    size = max(1, -(-len(recorded.frame) // portions))
    with Engine(detector, wait_for_models=True) as engine:
        if version is not None:
            engine.use(bench.ensemble(source.detector, version))
        portion: list[PlayedEvent] = []
        for path, items in groupby(recorded_items(source.detector, recorded, labels=True), attrgetter("path")):
            bodies = [item.body for item in items]
            if path == "/labels":
                engine.label_json(b"[" + b",".join(bodies) + b"]")
            elif path == "/events":
                engine.inform_json(bodies)
            else:
                portion += map(_played, engine.decide_json(bodies))
            while len(portion) >= size:
                yield portion[:size]
                portion = portion[size:]
        if portion:
            yield portion


def _played(answer: bytes | Refusal) -> PlayedEvent:
    if isinstance(answer, Refusal):
        raise MalformedEvent(answer.detail)
    decision = _decision.decode(answer)
    why = decision.explanation.reasons[0].text if decision.explanation.reasons else ""
    return PlayedEvent(
        decision.transaction_id, datetime.fromisoformat(decision.event_time), decision.decision, decision.fraud_probability, why
    )


def with_truth(bench: Bench, source: EventSource, events: list[PlayedEvent]) -> pl.DataFrame:
    """What was seen, with `fraud`, `attack`, `amount` and the keys of entities as the simulator knows them."""
    assert isinstance(source.events, SimulatedEvents)
    detector = bench.detector(source.detector)
    world = bench.simulated(source.detector, source.events)
    amount = detector.schema.amount
    keys = [name for name in keys_of(detector) if name in world.columns]
    label = detector.label.field if detector.label is not None else None
    truth = world.select(
        pl.col(detector.id).cast(pl.String).alias("id"),
        (pl.col(label).cast(pl.Boolean) if label else pl.lit(None, pl.Boolean)).alias("fraud"),
        "attack",
        (pl.col(amount) if amount else pl.lit(None, pl.Float64)).alias("amount"),
        *(pl.col(name).alias(f"key:{name}") for name in keys),
    )
    frame = pl.DataFrame(events, schema=_COLUMNS_PLAYED, orient="row").with_columns(stopped=pl.col("decision") != "APPROVE")
    return frame.join(truth, on="id", how="left", maintain_order="left")


_COLUMNS_PLAYED: dict[str, Any] = {
    "id": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "decision": pl.String,
    "probability": pl.Float64,
    "why": pl.String,
}


def attacks_of(frame: pl.DataFrame) -> pl.DataFrame:
    """Detection figures of every kind of attack, one row each."""
    frauds = frame.filter(pl.col("fraud") & pl.col("attack").is_not_null())
    keys = [name for name in frame.columns if name.startswith("key:")] or ["id"]
    return pl.DataFrame([{"attack": name, **found} for name, found in by_attack(frauds, keys).items()])
