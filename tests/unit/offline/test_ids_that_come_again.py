"""A label, an amount and a time belong to the event that they name, also where its id comes again after `dedupe`."""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression
from penstock.clock import to_us
from penstock.ledger.archive import Archive
from penstock.offline.archived import as_recorded
from penstock.offline.backtest import backtest
from penstock.offline.daily.history import History
from penstock.offline.datasets import read
from penstock.offline.outcome import outcome
from penstock.offline.replay import placed
from penstock.offline.rows import replayed
from penstock.offline.train import Options, run

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Payment(msgspec.Struct):
    tx: str
    at: datetime
    card: str
    amount: float
    fraud: bool | None = None


card = Entity("card")


def declared(**more) -> Detector:
    features = [card.label_count("ever"), card.count("7d")]
    settings = {"event": Payment, "id": "tx", "time": "at", "label": Label("fraud", delay="2d"), "features": features}
    return Detector("shop", **settings, dedupe="30d", **more)


def history(seed: int, n: int = 400) -> pl.DataFrame:
    """Payments over 200 days, of which many bear an id that was there before."""
    chance = random.Random(seed)
    days = sorted(chance.random() * 200 for _ in range(n))
    times = [START + timedelta(days=day) for day in days]
    return pl.DataFrame(
        {
            "tx": [f"t{chance.randrange(60)}" for _ in range(n)],
            "at": times,
            "card": [f"c{chance.randrange(20)}" for _ in range(n)],
            "amount": [float(chance.randrange(1, 1000)) for _ in range(n)],
            "fraud": [chance.random() < 0.4 for _ in range(n)],
            "label_known_at": [t + timedelta(days=chance.random() * 40) if chance.random() < 0.8 else None for t in times],
        },
        schema_overrides={"label_known_at": pl.Datetime("us", "UTC")},
    )


def naive(frame: pl.DataFrame) -> list[dict]:
    """The rows that count: those whose id was not accepted within the 30 days before."""
    seen: dict[str, datetime] = {}
    kept = []
    for row in frame.iter_rows(named=True):
        if row["tx"] not in seen or row["at"] - seen[row["tx"]] > 30 * DAY:
            seen[row["tx"]] = row["at"]
            kept.append(row)
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_training_rows_have_the_truth_of_their_own_event(seed):
    frame = history(seed)
    expected = naive(frame)
    assert len({row["tx"] for row in expected}) < len(expected) < len(frame)
    rows = replayed(declared(), read(frame, declared()))
    assert rows.ids.tolist() == [row["tx"] for row in expected]
    assert rows.fraud.tolist() == [float(row["fraud"]) for row in expected]
    assert rows.amount.tolist() == [row["amount"] for row in expected]
    known = [row["label_known_at"] or row["at"] + 2 * DAY for row in expected]
    assert rows.known_us.tolist() == [to_us(time) for time in known]


@pytest.mark.parametrize("seed", range(3))
def test_a_replay_is_judged_by_the_truth_of_each_event(seed):
    detector, frame = declared(), history(seed)
    recorded = read(frame, detector)
    decided, rows = placed(detector, recorded)
    expected = naive(frame)
    assert decided["tx"].to_list() == [row["tx"] for row in expected]
    worth = outcome(detector, recorded, decided, rows, 1.0)["worth"]["decisions"]
    assert worth["frauds"] == sum(row["fraud"] for row in expected)


class Clock:
    """A clock that stands at the time of the newest event."""

    def __init__(self):
        self.us = to_us(START)

    def __call__(self):
        return self.us


def payment(name, day, card="c", amount=1.0):
    return {"tx": name, "at": (START + day * DAY).isoformat(), "card": card, "amount": amount}


def decided(engine, clock, event):
    clock.us = to_us(datetime.fromisoformat(event["at"]))
    return engine.decide(event)


def test_a_live_label_names_the_newest_event_that_had_happened_when_it_became_known():
    clock = Clock()
    engine = Engine(declared(), clock=clock)
    decided(engine, clock, payment("t", 0, "old"))
    decided(engine, clock, payment("t", 40, "new"))
    engine.label("t", fraud=True, at=START + 41 * DAY)
    counts = {
        card: decided(engine, clock, payment(f"after-{card}", 50, card)).features["card_label_count_ever"]
        for card in ("old", "new")
    }
    assert counts == {"old": 0, "new": 1}
    engine.label("t", fraud=True, at=START + 3 * DAY)  # a late chargeback of the first use
    counts = {
        card: decided(engine, clock, payment(f"later-{card}", 60, card)).features["card_label_count_ever"]
        for card in ("old", "new")
    }
    assert counts == {"old": 1, "new": 1}


def test_the_label_of_the_first_use_does_not_stand_for_the_second():
    clock = Clock()
    engine = Engine(declared(), clock=clock)
    decided(engine, clock, payment("t", 0, "old"))
    engine.label("t", fraud=True, at=START + 10 * DAY)
    decided(engine, clock, payment("t", 40, "new"))
    second = engine.queries.events(["t"])[0]
    assert engine.queries.label(*second) is None
    engine.label("t", fraud=True, at=START + 41 * DAY)
    assert engine.queries.label(*second).known_us == to_us(START + 41 * DAY)
    first = engine.queries.events(["t"], [to_us(START + 10 * DAY)])[0]
    assert engine.queries.label(*first).known_us == to_us(START + 10 * DAY)
    assert decided(engine, clock, payment("u", 42, "new")).features["card_label_count_ever"] == 1


def test_a_label_that_was_known_before_its_event_is_refused():
    clock = Clock()
    engine = Engine(declared(), clock=clock)
    decided(engine, clock, payment("t", 5))
    [refused] = engine.label_json(b'{"transaction_id": "t", "fraud": true, "known_at": "2026-01-05T00:00:00Z"}')
    assert refused.errors[0][0] == "known_at"
    assert "before transaction 't' happened" in refused.detail


@pytest.mark.parametrize("seed", range(3))
def test_archived_events_get_the_labels_that_name_them(seed):
    frame = history(seed)
    expected = naive(frame)
    events = pl.DataFrame(expected).with_columns(pl.Series("seq", np.arange(len(expected))))
    chance = random.Random(seed)
    said = []
    for row in expected:
        later = [other["at"] for other in expected if other["tx"] == row["tx"] and other["at"] > row["at"]]
        if chance.random() < 0.7:
            until = min(later, default=row["at"] + 30 * DAY)
            said.append((row, row["at"] + (until - row["at"]) * chance.random() * 0.99))
    labels = pl.DataFrame(
        {
            "seq": np.arange(len(said)) + len(expected),
            "transaction_id": [row["tx"] for row, _ in said],
            "fraud": [int(row["fraud"]) for row, _ in said],
            "known_us": [to_us(known) for _, known in said],
            "rank": [0] * len(said),
        }
    )
    decisions = events.select(
        "seq", "card", "amount", "at", transaction_id="tx", event_time="at", arrived_at="at", decision=pl.lit("APPROVE")
    )
    found = as_recorded({"decisions": decisions, "labels": labels}, declared())
    told = {(row["tx"], row["at"]): (row["fraud"], known) for row, known in said}
    for row in found.iter_rows(named=True):
        assert (row["fraud"], row["label_known_at"]) == told.get((row["tx"], row["at"]), (None, None))


def test_a_backtest_and_a_report_count_each_label_for_the_decision_that_it_names():
    clock = Clock()
    with Engine(declared(), clock=clock) as engine:
        decided(engine, clock, payment("t", 0, amount=10.0))
        decided(engine, clock, payment("t", 40, amount=70.0))
        engine.label("t", fraud=True, at=START + 41 * DAY)
        engine.label("t", fraud=False, at=START + 5 * DAY)
        engine.ledger.flush()
        now_us = to_us(START + 60 * DAY)
        with Archive(engine.ledger) as archive:
            found = backtest(archive, declared(), "amount > 0", now_us=now_us, days=None)
            assert (found.truth.fraud, found.truth.good) == (1, 1)
            assert backtest(archive, declared(), "amount > 50", now_us=now_us, days=None).truth.fraud == 1
            assert backtest(archive, declared(), "amount < 50", now_us=now_us, days=None).truth.good == 1
            days = History(archive, "shop", "amount", now_us).days((START + 40 * DAY).date(), 41)
    first, second = days[0].truth, days[-1].truth
    assert (first.known, first.missed.count, second.known, second.missed.count) == (1, 0, 1, 1)


def test_rows_that_repeat_an_id_are_counted_and_so_are_those_that_differ():
    frame = history(seed=5, n=40).with_columns(pl.col("tx").cum_count().cast(pl.String))
    again = frame.head(30).with_columns(amount=pl.when(pl.int_range(30) < 12).then(pl.col("amount") + 1).otherwise("amount"))
    recorded = read(pl.concat([frame, again]), declared(), name="shop.csv")
    decided, rows = placed(declared(), recorded)
    said = outcome(declared(), recorded, decided, rows, 1.0)["repeats"]
    assert said == "shop.csv: 30 of 70 rows repeat the id of an earlier row and were left out, 12 of them with other content"
    assert read(frame, declared()).repeats("tx", np.arange(40)) == ""


def test_a_training_notes_the_rows_that_repeat_an_id():
    frame = pl.concat([history(seed=1), history(seed=1)])
    trained = run(declared(models=[LogisticRegression()]), frame, Options(trials=0, accept_inputs=["amount"]))
    [note] = [note for note in trained.report.notes if "repeat the id" in note]
    assert note.startswith("the frame: ")
