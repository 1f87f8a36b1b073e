"""What `mobile_money` knows of accounts, and what must never reach its model."""

import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from penstock import Detector, derive, replay
from penstock.detectors.mobile_money import START, Movement, detector
from penstock.detectors.mobile_money.features import account, features
from penstock.features import Aggregate
from penstock.offline.datasets import read

FORBIDDEN = {"newbalanceOrig", "newbalanceDest", "isFlaggedFraud", "isFraud"}
NOON = datetime(2026, 2, 6, 12, tzinfo=UTC)


def made_of(detector: Detector) -> set[str]:
    """Every column that an input of the models is, or is made of, however many steps away."""
    definitions = {feature.name: feature for feature in detector.features}
    found: set[str] = set()
    waiting = list(detector.plan.inputs)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name in definitions:
            waiting += reads(definitions[name])
    return found


def reads(feature: object) -> set[str]:
    """The columns in a feature's definition; a word too many does no harm."""
    if isinstance(feature, Aggregate):
        return {*feature.entity.fields, *([feature.field] if feature.field else []), *words(feature.where or "")}
    return words(feature.sql)


def words(sql: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", sql))


def with_input(*extra: object) -> Detector:
    """The detector with further features, the last of which its models read."""
    return Detector(
        "mobile_money",
        event=Movement,
        id="transaction_id",
        time="timestamp",
        features=[*features, *extra],
        inputs=[*detector.plan.inputs, extra[-1].name],
        label=detector.label,
    )


def test_nothing_the_model_reads_is_made_of_what_comes_later_or_from_upstream():
    assert made_of(detector) & FORBIDDEN == set()
    assert {"oldbalanceOrg", "nameDest", "type", "amount"} <= made_of(detector)


@pytest.mark.parametrize(
    "extra",
    [
        [derive("error_balance", "oldbalanceOrg - amount - newbalanceOrig")],
        [account.mean("newbalanceDest", "24h", role="received")],
        [account.count("24h", role="sent", where="isFlaggedFraud = 1")],
        [
            derive("gone", "newbalanceOrig = 0"),
            account.count("1h", role="sent", where="gone"),
            derive("twice", "gone AND TRUE"),
        ],
    ],
)
def test_the_walk_finds_a_leak_however_far_away(extra):
    assert made_of(with_input(*extra)) & FORBIDDEN


def movements(*rows: tuple[float, str, str, str, float], **columns: list) -> pl.DataFrame:
    """Movements given as (minute, type, from, to, amount), with every feature and the decision of the rules."""
    frame = pl.DataFrame(
        {
            "timestamp": [NOON + timedelta(minutes=row[0]) for row in rows],
            "type": [row[1] for row in rows],
            "nameOrig": [row[2] for row in rows],
            "nameDest": [row[3] for row in rows],
            "amount": [row[4] for row in rows],
            "oldbalanceOrg": [1000.0] * len(rows),
            **columns,
        }
    )
    return replay(detector, frame)


def test_money_that_comes_in_and_goes_out_within_minutes():
    frame = movements((0, "TRANSFER", "A", "M", 900.0), (4, "TRANSFER", "M", "N", 850.0), (9, "CASH_OUT", "N", "agent", 800.0))
    assert frame["received_10m"].to_list() == [0, 900, 850]
    assert frame["passes_on_10m"].to_list() == [None, pytest.approx(850 / 900), pytest.approx(800 / 850)]
    assert frame["seconds_since_received"].to_list() == [None, 240, 300]
    assert frame["in_and_out"].to_list() == [False, True, True]


def test_fan_in_and_fan_out_of_both_sides():
    frame = movements(
        (0, "TRANSFER", "A", "M", 10.0),
        (1, "TRANSFER", "B", "M", 10.0),
        (2, "TRANSFER", "C", "M", 10.0),
        (3, "TRANSFER", "M", "X", 10.0),
        (4, "TRANSFER", "M", "Y", 10.0),
        (5, "TRANSFER", "D", "M", 10.0),
    )
    assert frame["receiver_fan_in_24h"].to_list() == [1, 2, 3, 1, 1, 4]
    assert frame["fan_in_24h"].to_list() == [0, 0, 0, 3, 3, 0]
    assert frame["fan_out_24h"].to_list() == [1, 1, 1, 1, 2, 1]
    assert frame["receiver_fan_out_24h"].to_list() == [0, 0, 0, 0, 0, 2]


def test_new_counterparties():
    frame = movements((0, "TRANSFER", "A", "B", 10.0), (1, "TRANSFER", "A", "B", 10.0), (2, "TRANSFER", "A", "C", 10.0))
    assert frame["is_new_counterparty"].to_list() == [True, False, True]
    assert frame["counterparties_30d_before"].to_list() == [0, 1, 1]


def test_a_mule_account_is_looked_at():
    rows = [(i, "TRANSFER", f"V{i}", "M", 100.0) for i in range(3)]
    frame = movements(*rows, (10, "CASH_OUT", "M", "agent", 280.0))
    assert frame["decision"].to_list() == ["APPROVE", "APPROVE", "APPROVE", "REVIEW"]


def test_what_upstream_flagged_is_blocked_whatever_the_model_says(deciding):
    engine = deciding(detector)
    event = {"type": "TRANSFER", "amount": 5.0, "nameOrig": "A", "nameDest": "B", "oldbalanceOrg": 10.0}
    flagged = engine.decide({**event, "step": 1, "isFlaggedFraud": 1, "isFraud": 0})
    assert (flagged.decision, flagged.explanation.decision_reason) == ("BLOCK", "flagged_by_source")
    assert engine.decide({**event, "step": 1, "isFlaggedFraud": 0}).decision == "APPROVE"
    assert engine.decide({**event, "step": 1}).decision == "APPROVE"


def test_a_step_is_hours_after_the_declared_start(deciding):
    engine = deciding(detector)
    event = {"type": "PAYMENT", "amount": 5.0, "nameOrig": "A", "nameDest": "M1"}
    assert engine.decide({**event, "step": 25}).event_time == "2020-01-02T01:00:00Z"
    assert engine.decide({**event, "step": 25, "timestamp": NOON.isoformat()}).event_time == "2026-02-06T12:00:00Z"
    assert datetime.fromisoformat(engine.decide(event).event_time) > NOON


def test_thresholds_are_those_of_the_page():
    assert (detector.policy.review_at, detector.policy.block_at) == (0.5, 0.8)


@pytest.mark.data
def test_the_public_file_is_read_with_ids_made_of_rows(recorded):
    found = read(recorded / "paysim_excerpt.csv", detector)
    assert found.refused.is_empty()
    assert len(found.frame) == 34_540
    assert found.frame["isFraud"].sum() == 1_416
    first = found.frame.row(0, named=True)
    assert first["transaction_id"] == "paysim_excerpt-0"
    assert first["timestamp"] == START + timedelta(hours=1)
    assert found.frame["transaction_id"].n_unique() == 34_540


@pytest.mark.data
def test_parquet_with_a_column_more_is_read_too(recorded, tmp_path):
    part = pl.scan_parquet(recorded / "paysim_simulated.parquet").head(500).collect()
    part.write_parquet(tmp_path / "part.parquet")
    found = read(tmp_path / "part.parquet", detector)
    assert found.refused.is_empty()
    assert found.frame["step"].to_list() == part["step"].to_list()
