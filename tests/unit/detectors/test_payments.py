"""The seventeen signals of `payments`, and what a location says."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from penstock import replay
from penstock.detectors.payments import detector
from penstock.detectors.payments.features import inputs
from penstock.detectors.payments.recorded import adapt

NOON = datetime(2026, 2, 6, 12, tzinfo=UTC)  # a Friday


def replayed(*rows: dict) -> pl.DataFrame:
    """Payments of one user, a day apart unless they say otherwise, with every feature."""
    usual = {
        "user_id": "U1",
        "amount": 20.0,
        "merchant": "M1",
        "location": "France",
        "device_id": "D1",
        "transaction_type": "chip",
    }
    events = [{"timestamp": NOON + timedelta(days=i), **usual, **row} for i, row in enumerate(rows)]
    return replay(detector, pl.DataFrame(events, infer_schema_length=None))


def at(seconds: float, **row) -> dict:
    return {"timestamp": NOON + timedelta(seconds=seconds), **row}


def test_the_models_read_seventeen_signals():
    assert inputs == [
        "amount",
        "hour_of_day",
        "day_of_week",
        "weekend",
        "count_last_1m",
        "amount_last_1m",
        "count_last_5m",
        "amount_last_5m",
        "is_new_device",
        "devices_24h",
        "location_changed",
        "foreign_country",
        "amount_deviation",
        "payments_here_90d",
        "card_not_present",
        "rapid_succession",
        "repeated_amount",
    ]
    assert detector.plan.inputs == tuple(inputs)


@pytest.mark.parametrize(
    ("location", "country"),
    [
        ("France", "FR"),
        ("FRANCE ", "FR"),
        ("fr", "FR"),
        ("FRA", "FR"),
        ("Paris, France", "FR"),
        ("Paris,FR", "FR"),
        ("Austin, Texas, USA", "US"),
        ("1 High Street, Leeds, Yorkshire, United Kingdom", "GB"),
        ("South Korea", "KR"),
        ("Namibia", "NA"),
        ("na", "NA"),
        ("Türkiye", "TR"),
        ("Côte d'Ivoire", "CI"),
        ("Atlantis", "atlantis"),
        ("Poseidonis, Atlantis", "atlantis"),
        ("", None),
        (" , ", None),
        (None, None),
    ],
)
def test_a_location_is_a_name_a_code_or_a_city_and_a_country(location, country):
    assert replayed({"location": location})["country"].to_list() == [country]


def test_time_and_id_may_be_given_or_left_to_the_server(deciding):
    event = {"user_id": "U1", "amount": 20.0, "merchant": "M1", "location": "FR", "device_id": "D1", "transaction_type": "chip"}
    engine = deciding(detector)
    left = engine.decide(event)
    assert left.transaction_id
    assert abs((datetime.now(UTC) - datetime.fromisoformat(left.event_time)).total_seconds()) < 60
    given = engine.decide({**event, "transaction_id": "mine", "timestamp": "2026-02-06T12:00:00"})
    assert (given.transaction_id, given.event_time) == ("mine", "2026-02-06T12:00:00Z")


def test_weekday_and_weekend():
    frame = replayed({}, {}, {})
    assert frame["day_of_week"].to_list() == [4, 5, 6]
    assert frame["weekend"].to_list() == [False, True, True]


def test_counts_and_sums_of_one_and_five_minutes():
    frame = replayed(at(0), at(59), at(60), at(301))
    assert frame["count_last_1m"].to_list() == [1, 2, 2, 1]
    assert frame["amount_last_1m"].to_list() == [20, 40, 40, 20]
    assert frame["count_last_5m"].to_list() == [1, 2, 3, 3]
    assert frame["amount_last_5m"].to_list() == [20, 40, 60, 60]


def test_devices():
    frame = replayed({}, {}, {"device_id": "D2"}, {"device_id": None}, {"device_id": "D2"})
    assert frame["is_new_device"].to_list() == [True, False, True, None, False]


def test_devices_within_a_day():
    rows = [at(0), at(60, device_id="D2"), at(120, device_id=None), at(180), at(86_430, device_id="D3")]
    assert replayed(*rows)["devices_24h"].to_list() == [1, 2, 2, 2, 3]


def test_a_device_is_new_for_a_day():
    assert replayed(at(0), at(86_399), at(86_400))["is_new_device"].to_list() == [True, True, False]


def test_a_change_of_country_and_a_country_that_is_not_the_usual_one():
    frame = replayed({}, {"location": "Lyon, France"}, {"location": "DE"}, {"location": "Germany"}, {}, {"location": "DE"})
    assert frame["location_changed"].to_list() == [None, False, True, False, True, True]
    assert frame["foreign_country"].to_list() == [False, False, True, True, False, True]


def test_deviation_in_standard_deviations_of_the_earlier_payments():
    frame = replayed({"amount": 10.0}, {"amount": 20.0}, {"amount": 30.0}, {"amount": 500.0})
    assert frame["amount_deviation"].to_list()[:2] == [None, None]
    assert frame["amount_deviation"][3] == pytest.approx((500 - 20) / 10)


def test_frequency_with_this_merchant():
    assert replayed({}, {}, {"merchant": "M2"}, {})["payments_here_90d"].to_list() == [0, 1, 0, 2]


def test_online_means_that_the_card_is_not_present():
    frame = replayed({"transaction_type": "online"}, {"transaction_type": "Online"}, {}, {"transaction_type": None})
    assert frame["card_not_present"].to_list() == [True, True, False, None]


def test_rapid_succession_is_five_within_sixty_seconds():
    frame = replayed(*(at(second) for second in (0, 15, 30, 45, 59, 60, 130)))
    assert frame["rapid_succession"].to_list() == [False, False, False, False, True, True, False]


def test_a_repeated_amount_within_an_hour():
    frame = replayed(at(0), at(1800, amount=21.0), at(3599), at(3600 + 3599, amount=21.0), at(9000))
    assert frame["repeated_amount"].to_list() == [False, False, True, False, False]


def test_a_device_that_several_users_share_is_looked_at():
    frame = replayed(*(at(60 * i, user_id=f"U{i}") for i in range(3)))
    assert frame["decision"].to_list() == ["APPROVE", "REVIEW", "REVIEW"]


def test_two_users_of_a_household_device_are_not():
    day = 86_400
    frame = replayed(at(0, user_id="U1"), at(2 * day, user_id="U2"), at(4 * day, user_id="U1"), at(4 * day + 60, user_id="U2"))
    assert frame["decision"].to_list() == ["APPROVE"] * 4


def test_paying_in_person_in_two_countries_within_two_hours_is_looked_at():
    away = {"location": "Madrid, Spain", "device_id": None}
    frame = replayed(
        {}, {}, at(2 * 86_400), at(2 * 86_400 + 3600, **away), at(2 * 86_400 + 3700, **away), at(2 * 86_400 + 3800)
    )
    assert frame["decision"].to_list() == ["APPROVE", "APPROVE", "APPROVE", "REVIEW", "REVIEW", "APPROVE"]


def test_the_address_of_a_payment_online_is_no_second_country():
    online = {"location": "Spain", "transaction_type": "online"}
    frame = replayed({}, {}, at(2 * 86_400), at(2 * 86_400 + 3600, **online))
    assert frame["decision"].to_list() == ["APPROVE"] * 4


def test_cards_tried_at_one_merchant_from_new_devices_are_looked_at():
    frame = replayed(*(at(60 * i, user_id=f"U{i}", device_id=f"D{i}", amount=2.5) for i in range(6)))
    assert frame["decision"].to_list() == ["APPROVE"] * 4 + ["REVIEW"] * 2


def test_other_usual_column_names_are_understood():
    frame = pl.DataFrame({"User": ["U1"], "merchant_id": ["M1"], "amt": [3.5], "country": ["FR"], "type": ["online"], "x": [1]})
    assert adapt(frame).columns == ["user_id", "merchant", "amount", "location", "transaction_type", "x"]
