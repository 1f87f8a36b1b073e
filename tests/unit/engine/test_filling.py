"""A feature that is made at run time is what it would have been, had it been there from the beginning of the log."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Detector, Engine, Entity, Label, Rule, derive
from penstock.engine import verify, verify_sample
from penstock.errors import CapacityError, DeclarationError
from penstock.features.definitions import Added, Described
from penstock.ledger import FileLedger

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
ARRIVED_US = int(START.timestamp() * 1e6)
HOUR_US = 3_600_000_000


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    device_id: str | None = None
    is_fraud: bool | None = None


class Login(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str


customer = Entity("customer_id")


def declared(**options):
    return Detector(
        "grown",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="1h"),
        informs=[Login],
        lateness="2h",
        features=[
            customer.count("1h"),
            customer.sum("amount", "6h"),
            customer.std("amount", "1d"),
            customer.last("device_id"),
            customer.count("1h", of=Login).named("logins"),
            customer.label_rate("1d"),
            derive("spent_enough", "customer_sum_amount_6h > 100"),
        ],
        **{"rules": [Rule("burst", "customer_count_1h >= 3", then="review")], **options},
    )


ADDED = [
    Added("device_payments", Described(kind="count", entity="device", keys=("device_id",), window="3h")),
    Added("device_customers", Described(kind="distinct", entity="device", field="customer_id", window="1d")),
    Added(
        "large_before",
        Described(kind="sum", entity="customer", field="amount", window="2d", where="amount > 50", current=False),
    ),
    Added("customer_max", Described(kind="max", entity="customer", field="amount", window="5h", delay="1h")),
    Added("frauds", Described(kind="label_count", entity="device", window="1d")),
    Added("logins_of_a_day", Described(kind="count", entity="customer", window="1d", of=("Login",))),
    Added("frauds_known", Described(kind="label_count", entity="device", window="1d", by="known")),
    Added("first_device", Described(kind="first", entity="customer", field="device_id")),
    Added("sharing", Described(kind="linked", entity="customer", links=("device_id",), window="1d")),
    Added("sharing_frauds", Described(kind="linked_frauds", entity="customer", links=("device_id",), window="1d", delay="1h")),
    Added("is_top", Described(derive="amount >= customer_max OR device_payments > 2")),
]


class Clock:
    us = ARRIVED_US

    def __call__(self):
        self.us += 1
        return self.us


def payment(number, seconds=0.0, who="c1", amount=10.0, device="d1"):
    at = START + timedelta(seconds=seconds)
    return {
        "transaction_id": f"t{number}",
        "timestamp": at.isoformat(),
        "customer_id": who,
        "amount": amount,
        "device_id": device,
    }


def columns_of(engine):
    """Every column but those of rules, of all recorded decisions, by name."""
    found = {}
    for _, record in engine.ledger.read():
        if record.kind == "decisions":
            names = engine.queries.names_of(record) or engine.queries.columns
            for row, each in enumerate(record.ids):
                values = dict(zip(names, record.columns["x"][row].tolist(), strict=True))
                found[each] = {name: value for name, value in values.items() if ":" not in name} | {
                    name: record.columns[name][row] for name in record.columns if name.startswith("text:")
                }
    return found


def same(left, right):
    return set(left) == set(right) and all(
        value == right[name] or (value != value and right[name] != right[name]) for name, value in left.items()
    )


def grow(engine, added=ADDED):
    filling = engine.active.backfill(added)
    filling.run()
    engine.activate_features(filling)
    return filling


step = st.one_of(
    st.tuples(
        st.just("pay"),
        st.integers(-9_000, 9_000),
        st.sampled_from(["c1", "c2"]),
        st.sampled_from([1.0, 60.25, 99.99, 12.5]),
        st.sampled_from(["d1", "d2", None]),
    ),
    st.tuples(st.just("login"), st.integers(-9_000, 9_000), st.sampled_from(["c1", "c2"])),
    st.tuples(st.just("label"), st.integers(0, 30), st.booleans(), st.integers(-3_600, 20_000)),
)


def play(engine, steps, begun=0, grow_at=None):
    """Let all of this happen; with the features added before the step of this number."""
    paid = []
    for number, each in enumerate(steps, begun):
        if number == grow_at:
            grow(engine)
        at = number * 900
        if each[0] == "pay":
            engine.decide(payment(number, at + each[1], *each[2:]))
            paid.append((f"t{number}", at + each[1]))
        elif each[0] == "login":
            when = START + timedelta(seconds=at + each[1])
            engine.inform(
                {"type": "Login", "transaction_id": f"l{number}", "timestamp": when.isoformat(), "customer_id": each[2]}
            )
        elif paid:
            name, happened = paid[each[1] % len(paid)]
            known = START + timedelta(seconds=max(at + each[3], happened))  # a label is never known before its event
            engine.label(name, fraud=each[2], at=known)
    return engine


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(step, max_size=40), grow_at=st.integers(0, 40))
def test_state_and_features_are_those_of_an_engine_that_had_them_from_the_beginning(steps, grow_at):
    grow_at = min(grow_at, len(steps))
    with (
        Engine(declared(), clock=Clock()) as engine,
        Engine(declared().with_features(ADDED), clock=Clock()) as whole,
        Engine(declared(), clock=Clock()) as plain,
    ):
        play(engine, steps, grow_at=grow_at)
        if grow_at == len(steps):
            grow(engine)
        play(whole, steps)
        play(plain, steps)
        assert engine.pipeline.state.digest() == whole.pipeline.state.digest()
        with_active_features, expected, before = columns_of(engine), columns_of(whole), columns_of(plain)
        for number in range(len(steps)):
            name = f"t{number}"
            if name not in with_active_features:
                continue
            known = {column: value for column, value in with_active_features[name].items() if column in before[name]}
            assert same(known, before[name])
            if number >= grow_at:
                assert same(with_active_features[name], expected[name])


def test_a_restart_after_the_change_comes_up_with_the_features_and_their_state(tmp_path):
    with Engine(declared(), data=tmp_path, clock=Clock()) as engine:
        play(engine, [("pay", 0, "c1", 60.0, "d1")] * 20, grow_at=10)
        digest = engine.pipeline.state.digest()
    detector = declared().with_features(ADDED)
    with Engine(detector, data=tmp_path, clock=Clock()) as engine:
        assert engine.recovery.notes == []
        assert engine.pipeline.state.digest() == digest


def test_without_a_snapshot_the_state_is_rebuilt_from_the_log(tmp_path):
    with Engine(declared(), data=tmp_path, clock=Clock()) as engine:
        play(engine, [("pay", 0, "c1", 60.0, "d1")] * 20)
    with Engine(declared().with_features(ADDED), data=tmp_path, clock=Clock()) as engine:
        assert "rebuilt from the log" in engine.recovery.notes[0]
        rebuilt = engine.pipeline.state.digest()
    with Engine(declared().with_features(ADDED), clock=Clock()) as whole:
        play(whole, [("pay", 0, "c1", 60.0, "d1")] * 20)
        assert whole.pipeline.state.digest() == rebuilt


@pytest.mark.parametrize("now", [(), ADDED, ADDED[:1]])
def test_decisions_from_before_and_after_the_change_can_be_verified_by_either_detector(tmp_path, now):
    with Engine(declared(), data=tmp_path, clock=Clock()) as engine:
        steps = [("pay", 0, "c1", 60.0, "d1"), ("label", 0, True, 100), ("pay", 40, "c2", 9.0, "d1")] * 4
        play(engine, steps, grow_at=6)
        grow(engine, ADDED[:2])
        engine.decide(payment(900, 12_000))
        grow(engine, [])
        engine.decide(payment(901, 12_001))
    with FileLedger(tmp_path / "ledger", read_only=True) as ledger:
        for name in ("t0", "t2", "t6", "t9", "t900", "t901"):
            assert verify(ledger, declared().with_features(now), name, None).identical
        sample = verify_sample(ledger, declared().with_features(now), 100, None)
        assert len(sample.verified) == 10
        assert sample.differing == sample.unverifiable == ()


def test_a_rule_may_read_a_feature_as_soon_as_it_is_there_and_its_first_value_is_exact():
    with Engine(declared(rules=[]), clock=Clock()) as engine:
        for number in range(5):
            engine.decide(payment(number, number, who=f"c{number}"))
        crowd = Rule("crowd", "device_customers >= 6", then="block", reason="{device_customers} customers")
        with pytest.raises(DeclarationError, match="device_customers"):
            engine.use_rules([crowd])
        grow(engine)
        engine.use_rules([crowd])
        decision = engine.decide(payment(6, 6, who="c6"))
        assert decision.decision == "BLOCK"
        assert decision.explanation.reasons[0].text == "6 customers"
        assert engine.decide(payment(7, 7, who="c6", device="d9")).decision == "APPROVE"


def test_rules_that_changed_while_it_was_filled_decide_afterwards():
    with Engine(declared(), clock=Clock()) as engine:
        filling = engine.active.backfill(ADDED)
        filling.run()
        engine.use_rules([Rule("any", "amount > 1", then="block")])
        engine.decide(payment(1))
        engine.activate_features(filling)
        assert engine.decide(payment(2)).decision == "BLOCK"
        assert engine.entity("device", "d1")["features"]["device_payments"] == 2


def test_what_history_cannot_fill_is_said():
    with Engine(declared(), clock=Clock()) as engine:
        engine.decide(payment(1))
        reaches = {reach.name: reach for reach in grow(engine).reaches}
        since = ARRIVED_US
        assert reaches["device_payments"][1:3] == (since, since + 3 * HOUR_US)
        assert reaches["customer_max"][1:3] == (since, since + 6 * HOUR_US)
        assert reaches["first_device"][1:3] == (since, None)
        assert reaches["is_top"][1:3] == (since, since + 6 * HOUR_US)
        assert "reaches back to 2026-01-05T10:00:00" in reaches["device_payments"].sentence
    with Engine(declared(), clock=Clock()) as empty:
        assert {reach.since_us for reach in grow(empty).reaches} == {None}


def test_a_field_that_older_events_were_recorded_without_is_named(tmp_path):
    class Older(msgspec.Struct):
        transaction_id: str
        timestamp: datetime
        customer_id: str
        amount: float

    old = Detector("grown", event=Older, id="transaction_id", time="timestamp", features=[customer.count("1h")])
    new = Detector("grown", event=Payment, id="transaction_id", time="timestamp", features=[customer.count("1h")])
    with Engine(old, data=tmp_path, clock=Clock()) as engine:
        engine.decide({name: value for name, value in payment(1).items() if name != "device_id"})
    with Engine(new, data=tmp_path, clock=Clock()) as engine:
        engine.decide(payment(2, 600))
        device, large = (
            reach for reach in grow(engine, [ADDED[0], ADDED[2]._replace(described=Described(derive="amount > 5"))]).reaches
        )
        assert device.late == (("device_id", ARRIVED_US + 600_000_000),)
        assert device.since_us == ARRIVED_US + 600_000_000
        assert "device_id since 2026-01-05T10:10:00" in device.sentence
        assert (large.since_us, large.whole_us) == (ARRIVED_US, ARRIVED_US)


def test_two_states_that_do_not_fit_into_memory_are_refused_before_anything_is_filled():
    with Engine(declared(), clock=Clock()) as engine:
        for number in range(50):
            engine.decide(payment(number, who=f"c{number}"))
        engine.pipeline.state.memory_limit = int(1.5 * engine.pipeline.state.used_bytes)
        with pytest.raises(CapacityError, match="two states live at once"):
            engine.active.backfill(ADDED)


@pytest.mark.parametrize(
    ("added", "told"),
    [
        (Added("logins", Described(derive="amount > 1")), "declared twice"),
        (Added("amount", Described(derive="1 > 0")), "name of an event field"),
        (Added("x", Described(derive="amont > 1")), "did you mean"),
        (Added("x", Described(kind="cuont", entity="customer", window="1h")), "did you mean"),
        (Added("x", Described(kind="count", entity="custmer", window="1h")), "did you mean"),
        (Added("x", Described(kind="count", entity="customer")), "needs a window"),
        (Added("x", Described(kind="sum", entity="customer", window="1h")), "needs the field"),
        (Added("x", Described(kind="count", entity="customer", window="1h", field="amount")), "takes no field"),
        (Added("x", Described(kind="count", window="1h")), "say of which entity"),
        (Added("x", Described(kind="count", entity="customer", keys=("device_id",), window="1h")), "another name"),
        (Added("x", Described(derive="amount > 1", kind="count")), "stands alone"),
        (Added("x", Described(kind="sum", entity="customer", field="logins", window="1h")), "another aggregate"),
        (Added("not a name", Described(derive="amount > 1")), "letters, digits"),
    ],
)
def test_what_cannot_work_is_refused_as_in_a_detectors_file(added, told):
    with pytest.raises(DeclarationError) as refused:
        declared().with_features([added])
    assert told in str(refused.value).lower() or told in str(refused.value)


def test_a_feature_that_a_rule_reads_cannot_go():
    detector = declared().with_features(ADDED).with_rules([Rule("crowd", "device_customers > 3", then="block")])
    with pytest.raises(DeclarationError, match="device_customers"):
        detector.with_features(ADDED[:1])


def test_a_description_says_the_same_when_it_is_read_again():
    from penstock.features.definitions import describe, feature_of, read_described, to_plain

    detector = declared().with_features(ADDED)
    for feature in detector.features:
        told = read_described(to_plain(describe(feature)), feature.name)
        again = feature_of(feature.name, told, {}, {"Login": Login})
        assert describe(again) == describe(feature)


def test_models_still_fit_for_the_features_of_the_file_mean_what_they_meant():
    detector = declared()
    names = [feature.name for feature in detector.features]
    assert detector.with_features(ADDED).fingerprint(names) == detector.fingerprint(names)
    assert set(detector.plan.inputs) < set(detector.with_features(ADDED).plan.inputs)
