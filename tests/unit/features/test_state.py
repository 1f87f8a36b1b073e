"""The state of all entities: one call for all of them, and a memory budget over all of them."""

from datetime import UTC, datetime, timedelta

import msgspec

from penstock import Detector, Engine, Entity, Label

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
person, shop = Entity("person"), Entity("shop")


class Payment(msgspec.Struct):
    id: str
    at: datetime
    person: str = "p"
    shop: str = "s"
    fraud: bool | None = None


def payment(name: str, second: float, **fields: str) -> Payment:
    """A payment some time after the start."""
    return Payment(name, START + timedelta(seconds=second), **fields)


def _detector() -> Detector:
    features = [person.count("1h"), shop.count("1h")]
    return Detector("two_entities", event=Payment, id="id", time="at", features=features, models=[])


def test_a_batch_that_due_labels_cut_into_pieces_is_let_in_piece_by_piece_while_there_is_room() -> None:
    """Room runs out after the first piece has entered: what is known goes on being counted, and labels reach it."""
    labelled = Detector(
        "labelled",
        event=Payment,
        id="id",
        time="at",
        label=Label("fraud", delay="1m"),
        features=[person.count("1h"), shop.label_count("1h")],
        models=[],
    )
    engine = Engine(labelled)
    engine.decide(payment("a", 0))
    engine.label("a", fraud=True, at=START + timedelta(seconds=2))
    state = engine.pipeline.state
    for table in state.tables:
        table.reclaim(state.pace_us)
    state.memory_limit = int(state.used_bytes / 0.9)
    decided = engine.decide_many([payment("b", 1, person="q"), payment("c", 3), payment("d", 4)])
    assert [each.features["shop_label_count_1h"] for each in decided] == [0, 1, 1]
    assert [each.features["person_count_1h"] for each in decided] == [1, 2, 3]
    assert [each.degraded is None for each in decided] == [False, True, True]


def test_arrays_that_grow_in_the_middle_of_a_batch_lose_and_repeat_nothing() -> None:
    """Many keys at once: every table is enlarged several times while one batch runs through all entities."""
    engine = Engine(_detector())
    events = [payment(f"{i}", i / 1000, person=f"p{i % 3000}", shop=f"s{i % 2999}") for i in range(6000)]
    decided = engine.decide_many(events)
    assert [d.features["person_count_1h"] for d in decided] == [1] * 3000 + [2] * 3000
    assert [d.features["shop_count_1h"] for d in decided] == [1] * 2999 + [2] * 2999 + [3] * 2


def test_a_dry_run_moves_no_clock() -> None:
    """A question about the far future must not make the stream forget anybody."""
    engine = Engine(_detector())
    state = engine.pipeline.state
    engine.decide(payment("a", 0))
    before = (state.clock_us, state.pace_us)
    engine.decide(payment("b", 12 * 3600), dry_run=True)
    assert (state.clock_us, state.pace_us) == before
    engine.decide(payment("b", 12 * 3600))
    assert state.clock_us > before[0]
    assert state.pace_us > before[1]
