"""What follows from a comparison: the cause, what it touches, and what to do; and when labels and scores disagree."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import pytest

from penstock import Detector, Entity, Label, LogisticRegression, Policy, Rule, derive
from penstock.clock import EVER_US, to_us
from penstock.models.reference import Reference, cut, cut_texts
from penstock.offline.daily.day import CountAndAmount, DayFigures, DayOutcomes
from penstock.offline.drift.report import Reporter, over_labels, reaches
from penstock.offline.drift.sketch import DAY_US, HOUR_US, SCORE, DecisionColumns, Sketch
from penstock.offline.drift.truth import miscalibrated, truth_of

START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = 14
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def from_the_beginning(monkeypatch):
    """Each test draws the same whether others were run before it or not."""
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(3))


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    shop: str
    note: float | None = None
    is_fraud: bool | None = None


customer = Entity("customer_id")
detector = Detector(
    "small",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="2d"),
    features=[
        customer.count("3d").named("often"),
        customer.since_first().named("age"),
        customer.label_rate("7d", delay="1d").named("rate"),
        derive("both", "coalesce(often, 0) + age"),
        derive("bad", "rate > 0.5 AND often > 2"),
    ],
    inputs=["amount", "shop", "note"],
    models=[LogisticRegression()],
    rules=[Rule("dear", "amount > 100", then="review"), Rule("likely", "score > 0.9", then="block")],
    policy=Policy(),
)


def rows(n=600, days=DAYS, *, first=0, amount=1.0, shops=("a", "b"), missing=0.1):
    """So many rows a day."""
    time_us = to_us(START) + first * DAY_US + np.arange(n * days) * (DAY_US // n)
    numbers = {
        "amount": amount * RNG.lognormal(3, 1, n * days),
        "note": np.where(RNG.random(n * days) < missing, np.nan, RNG.normal(size=n * days)),
    }
    score = RNG.beta(1, 20, n * days) * min(amount, 5)
    return DecisionColumns(time_us, numbers, {"shop": RNG.choice(shops, n * days).tolist()}, {SCORE: score})


def reference(importance=None, expected=None):
    of = rows()
    day = (of.time_us - of.time_us[0]) // DAY_US
    columns = [cut(name, values) for name, values in of.numbers.items()]
    columns = [column.counted(column.place(of.numbers[column.name]), day, DAYS) for column in columns]
    shop = cut_texts("shop", of.texts["shop"])
    score = cut(SCORE, of.scores[SCORE], "score")
    columns += [
        shop.counted(shop.place_texts(of.texts["shop"]), day, DAYS),
        score.counted(score.place(of.scores[SCORE]), day, DAYS),
    ]
    dates = [f"{START + timedelta(days=at):%Y-%m-%d}" for at in range(DAYS)]
    shares = {name: {"ensemble": share, "logistic_regression": share} for name, share in (importance or {}).items()}
    return Reference("history", dates, (0.0, float(DAYS)), columns, shares, expected or {})


def report(live, **about):
    held = reference(**about)
    sketch = Sketch(held.columns, review_at=0.2)
    sketch.add(live)
    return Reporter(detector, held).report(sketch, now_us=to_us(START) + 20 * DAY_US)


def findings(live, **about):
    return {finding.column: finding for finding in report(live, **about).findings}


LEANED_ON = {"amount": 0.6, "shop": 0.3, "note": 0.1}


def test_nothing_follows_from_what_is_as_it_was():
    assert findings(rows(days=1, first=DAYS), importance=LEANED_ON) == {}


def test_a_shifted_input_asks_for_training_and_names_models_and_rules():
    found = findings(rows(days=1, first=DAYS, amount=2.5), importance=LEANED_ON)["amount"]
    assert (found.kind, found.advice, found.alarm) == ("shift", "retrain", True)
    assert found.models == {"logistic_regression": 0.6}
    assert found.rules == ["dear"]


def test_what_nobody_leans_on_may_shift():
    found = findings(rows(days=1, first=DAYS, missing=0.9), importance={**LEANED_ON, "note": 0.001})["note"]
    assert (found.advice, found.alarm) == ("nothing", False)


def test_an_input_that_only_a_rule_reads_asks_to_look_at_the_source():
    found = findings(rows(days=1, first=DAYS, amount=2.5), importance={**LEANED_ON, "amount": 0.001})["amount"]
    assert found.advice == "look at the source"
    assert "dear may fire" in found.because


def test_values_that_stop_coming_ask_to_look_at_the_source():
    found = findings(rows(days=1, first=DAYS, missing=0.6), importance=LEANED_ON)["note"]
    assert (found.kind, found.advice) == ("missing", "look at the source")
    assert "in training it was in 10" in found.text or "in training it was in 9" in found.text


def test_texts_that_training_never_saw_are_counted_apart():
    made = report(rows(days=1, first=DAYS, shops=("a", "b", "new")), importance=LEANED_ON)
    shop = next(column for column in made.columns if column.name == "shop")
    assert shop.unseen == pytest.approx(1 / 3, abs=0.1)
    found = next(finding for finding in made.findings if finding.column == "shop")
    assert (found.kind, found.advice) == ("unseen", "retrain")
    renamed = findings(rows(days=1, first=DAYS, shops=("A", "B")), importance=LEANED_ON)["shop"]
    assert (renamed.kind, renamed.advice) == ("unseen", "look at the source")


def test_scores_that_move_alone_ask_for_calibration_and_with_their_inputs_for_training():
    alone = rows(days=1, first=DAYS)
    alone = DecisionColumns(alone.time_us, alone.numbers, alone.texts, {SCORE: alone.scores[SCORE] * 4})
    assert findings(alone, importance=LEANED_ON)[SCORE].advice == "recalibrate"
    together = findings(rows(days=1, first=DAYS, amount=4.0), importance=LEANED_ON)
    assert together[SCORE].advice == "retrain"
    assert together[SCORE].rules == ["likely"]


def test_few_rows_raise_nothing_however_far_they_lie_and_say_so():
    made = report(rows(n=20, days=1, first=DAYS, amount=1.8), importance=LEANED_ON)
    amount = next(column for column in made.columns if column.name == "amount")
    assert (amount.state, made.findings) == ("few", [])


def test_nothing_is_judged_before_a_day_is_nearly_over():
    held = reference(importance=LEANED_ON)
    sketch = Sketch(held.columns)
    live = rows(n=2400, days=1, first=DAYS, amount=9.0)
    morning = live.time_us < live.time_us[0] + 12 * HOUR_US
    sketch.add(DecisionColumns(live.time_us[morning], {name: each[morning] for name, each in live.numbers.items()}))
    made = Reporter(detector, held).report(sketch, now_us=0)
    assert (made.judged, made.findings) == (False, [])
    assert "Nothing is judged yet" in made.notes[0]
    assert next(column for column in made.columns if column.name == "shop").state == "absent"


def test_an_empty_sketch_is_a_report_that_says_nothing():
    made = Reporter(detector, reference()).report(Sketch(reference().columns), now_us=0)
    assert (made.rows, made.judged, made.findings, made.since) == (0, False, [], None)


def test_an_estimate_that_falls_is_told_without_an_alarm():
    live = rows(days=1, first=DAYS, n=2000)
    flat = DecisionColumns(live.time_us, live.numbers, live.texts, {SCORE: np.full(len(live.time_us), 0.05)})
    found = [each for each in report(flat, expected={"roc_auc": 0.95}).findings if each.kind == "estimate"]
    assert [(each.alarm, each.advice) for each in found] == [(False, "retrain")]


# ---------------------------------------------------------------- how far back features look


def test_features_look_back_as_far_as_their_window_or_what_they_read():
    found = reaches(detector)
    assert found["amount"] == 0
    assert found["often"] == 3 * DAY_US
    assert found["rate"] == (7 + 1 + 2) * DAY_US  # a label comes two days late
    assert found["age"] == found["both"] == EVER_US
    assert found["bad"] == found["rate"]


def test_what_is_computed_from_labels_is_known_also_through_others():
    assert over_labels(detector) == {"rate", "bad"}


# ---------------------------------------------------------------- labels


def day(at, *, decided=100, known=100, frauds=5, caught=3):
    truth = DayOutcomes(known, CountAndAmount(caught), CountAndAmount(frauds - caught), CountAndAmount(2))
    return DayFigures(date(2026, 1, 5) + timedelta(days=at), CountAndAmount(decided), {}, truth, {})


def told(days, expected):
    """Days whose scores say so many frauds each."""
    sketch = Sketch([])
    for each in days:
        noon = to_us(datetime(each.date.year, each.date.month, each.date.day, 12, tzinfo=UTC))
        sketch.add(DecisionColumns(np.full(100, noon), {}, {}, {SCORE: np.full(100, expected / 100)}))
    return truth_of(days, sketch, now_us=to_us(START) + 12 * DAY_US, label_delay_us=2 * DAY_US)


def test_days_are_young_until_their_labels_are_in():
    made = told([day(at) for at in range(12)], 5)
    assert [each.young for each in made] == [False] * 10 + [True] * 2
    assert made[0].expected == pytest.approx(5)
    assert (made[0].fraud_rate, made[0].precision) == (0.05, None)  # five of known outcome were stopped: too few for a rate
    assert (made[0].caught, made[0].stopped) == (3, 5)
    assert made[0].fraud_rate_low < 0.05 < made[0].fraud_rate_high


def test_a_day_without_labels_has_no_rate():
    [made] = told([day(0, known=0, frauds=0, caught=0)], 5)
    assert (made.known, made.fraud_rate) == (0, None)


def test_frauds_far_beyond_what_scores_say_are_found_once_they_are_sure():
    assert miscalibrated(told([day(at, frauds=20) for at in range(10)], 5)) == (200.0, pytest.approx(50), 10)
    assert miscalibrated(told([day(at, frauds=6) for at in range(10)], 5)) is None
    assert miscalibrated(told([day(at, frauds=20) for at in range(3)], 5)) is None  # too few days
    attack = [day(at, frauds=100 if at == 4 else 5) for at in range(10)]
    assert miscalibrated(told(attack, 5)) is None  # one attack on one day


def test_few_frauds_count_only_where_nearly_everything_has_a_label():
    few = [day(at, frauds=3) for at in range(10)]
    assert miscalibrated(told(few, 12)) is not None
    assert (
        miscalibrated(told([msgspec.structs.replace(each, truth=DayOutcomes(20, CountAndAmount(3))) for each in few], 12))
        is None
    )


def test_young_days_do_not_count():
    old = [day(at, frauds=5) for at in range(8)]
    young = [day(at, frauds=0, caught=0) for at in (10, 11)]
    assert miscalibrated(told([*old, *young], 5)) is None


def test_what_labels_say_becomes_a_finding():
    held = reference(expected={"known_fraud_rate": 0.05, "fraud_rate": 0.05})
    sketch = Sketch(held.columns, review_at=0.2)
    sketch.add(rows(days=12))
    days = [day(at, decided=600, known=600, frauds=120, caught=20) for at in range(10)]
    made = Reporter(detector, held).report(sketch, now_us=to_us(START) + 14 * DAY_US, days=days)
    [found] = [each for each in made.findings if each.kind == "calibration"]
    assert (found.alarm, found.advice) == (True, "recalibrate")
    assert "1,200 frauds are known of 10 days" in found.text
