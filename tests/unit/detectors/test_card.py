"""What `card` makes of seven fields, of habits and places, and of the public files."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from penstock import replay
from penstock.detectors.card import detector
from penstock.detectors.card.recorded import adapt
from penstock.offline.datasets import read

NOON = datetime(2026, 2, 6, 12, tzinfo=UTC)  # a Friday
SEVEN = {
    "transaction_id": "tx1",
    "amount": 48.2,
    "category": "grocery_pos",
    "hour": 3,
    "day_of_week": 6,
    "latitude": 52.5,
    "longitude": 13.4,
}
SPARKOV = pl.DataFrame(
    {
        "": [0, 1, 2],
        "trans_date_trans_time": ["2019-01-01 00:00:18", "2019-01-01 01:00:18", "2019-03-09 23:59:59"],
        "cc_num": [2703186189652095, 2703186189652095, 630423337322],
        "merchant": ["fraud_Rippin, Kub and Mann", "fraud_Heller, Gutmann and Zieme", "fraud_Lind-Buckridge"],
        "category": ["misc_net", "grocery_pos", "entertainment"],
        "amt": [4.97, 107.23, 220.11],
        "first": ["Jennifer", "Jennifer", "Stephanie"],
        "gender": ["F", "F", "M"],
        "lat": [36.0788, 36.0788, 48.8878],
        "long": [-81.1781, -81.1781, -118.2105],
        "city_pop": [3495, 3495, 149],
        "job": ["Psychologist, counselling", "Psychologist, counselling", "Special educational needs teacher"],
        "dob": ["1988-03-09", "1988-03-09", "1978-03-10"],
        "trans_num": [
            "0b242abb623afc578575680df30655b9",
            "1f76529f8574734946361c461b024d99",
            "a1a22d70485983eac12b5b88dad1cf95",
        ],
        "unix_time": [1325376018, 1325379618, 1331337599],
        "merch_lat": [36.011293, 36.5, 49.159047],
        "merch_long": [-82.048315, -81.5, -118.186462],
        "is_fraud": [0, 0, 1],
    }
)


def replayed(*rows: dict) -> pl.DataFrame:
    """Payments with one card, an hour apart unless they say otherwise, with every feature."""
    usual = {"amount": 20.0, "category": "grocery_pos", "latitude": 52.5, "longitude": 13.4, "card": "4111", "merchant": "M1"}
    events = [{"timestamp": NOON + timedelta(hours=i), **usual, **row} for i, row in enumerate(rows)]
    return replay(detector, pl.DataFrame(events, infer_schema_length=None))


def test_seven_fields_alone_are_decided(deciding):
    decision = deciding(detector).decide(SEVEN)
    assert (decision.transaction_id, decision.decision) == ("tx1", "APPROVE")
    assert (decision.features["hour_of_day"], decision.features["weekday"]) == (3, 6)
    assert decision.features["is_night"] is True
    assert decision.features["is_anonymous"] is True
    assert decision.features["count_1h"] is None
    assert datetime.fromisoformat(decision.event_time) > NOON


def test_hour_and_day_are_those_of_the_timestamp_where_they_are_not_given():
    frame = replayed({}, {"hour": 23, "day_of_week": 0})
    assert frame["hour_of_day"].to_list() == [12, 23]
    assert frame["weekday"].to_list() == [4, 0]


def test_a_category_that_nobody_has_seen_is_no_error(deciding):
    decision = deciding(detector).decide({**SEVEN, "category": "stamp collecting \N{LOVE LETTER}"})
    assert decision.decision == "APPROVE"
    assert decision.degraded is None


@pytest.mark.parametrize(("field", "value"), [("hour", 24), ("day_of_week", 7), ("latitude", 91), ("amount", -1)])
def test_what_cannot_be_is_refused(deciding, field, value):
    with pytest.raises(Exception, match=field):
        deciding(detector).decide({**SEVEN, field: value})


def test_the_payer_is_the_card_or_else_the_user():
    frame = replayed({"user": "U1"}, {"user": "U1"}, {"user": "U1", "card": None}, {"card": None})
    assert frame["count_24h"].to_list() == [1, 2, 1, None]


def test_the_card_number_is_never_shown(deciding):
    decision = deciding(detector).decide({**SEVEN, "card": "4012888888881881"})
    assert decision.features["payer"].startswith("tok_")


def test_habits_in_a_category_leave_the_payment_itself_out():
    frame = replayed({"amount": 10.0}, {"amount": 30.0}, {"amount": 100.0, "category": "travel_net"}, {"amount": 60.0})
    assert frame["payments_in_category_60d"].to_list() == [0, 1, 0, 2]
    assert frame["category_share_of_payments"].to_list() == [None, 1.0, 0.0, pytest.approx(2 / 3)]
    assert frame["category_share_of_spend"].to_list() == [None, 1.0, 0.0, pytest.approx(40 / 140)]
    assert frame["amount_to_usual_in_category"].to_list() == [None, 3.0, None, 3.0]
    assert frame["amount_to_expected"].to_list() == [None, 3.0, 5.0, 3.0]


def test_distance_and_speed_from_the_last_place():
    frame = replayed({}, {"latitude": 53.5}, {"latitude": -33.9, "longitude": 151.2})
    assert frame["km_from_previous"].to_list()[:2] == [None, pytest.approx(111.2, abs=0.1)]
    assert frame["km_per_hour"][1] == pytest.approx(111.2, abs=0.1)
    assert frame["km_per_hour"][2] > 15_000
    assert frame["km_across_3h"][2] > 15_000


def test_a_payment_online_is_made_nowhere():
    frame = replayed({}, {"latitude": -33.9, "longitude": 151.2, "category": "misc_net"}, {})
    assert frame["km_from_previous"].to_list() == [None, None, 0.0]
    assert frame["km_across_3h"].to_list() == [0.0, 0.0, 0.0]


def test_the_way_from_home_to_the_merchant():
    frame = replayed({"home_latitude": 52.5, "home_longitude": 13.4, "latitude": 53.5})
    assert frame["home_to_merchant_km"].to_list() == [pytest.approx(111.2, abs=0.1)]


def test_small_payments_in_a_row_are_blocked():
    frame = replayed(*({"timestamp": NOON + timedelta(minutes=i), "amount": 1.0} for i in range(6)))
    assert frame["decision"].to_list() == ["APPROVE"] * 4 + ["BLOCK"] * 2


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_sparkov_is_read_as_published(tmp_path, suffix):
    path = tmp_path / f"fraudTrain.{suffix}"
    getattr(SPARKOV, f"write_{suffix}")(path)
    found = read(path, detector)
    assert found.refused.is_empty()
    first = found.frame.row(0, named=True)
    assert first["transaction_id"] == "0b242abb623afc578575680df30655b9"
    assert first["timestamp"] == datetime(2019, 1, 1, 0, 0, 18, tzinfo=UTC)
    assert (first["card"], first["category"], first["amount"]) == ("2703186189652095", "misc_net", 4.97)
    assert (first["latitude"], first["home_latitude"]) == (36.011293, 36.0788)
    assert found.frame["age"].to_list() == [30, 30, 40]
    assert found.frame["is_fraud"].to_list() == [False, False, True]
    assert not {"dob", "first", "gender", "job"} & set(found.frame.columns)
    features = replay(detector, path)
    assert features["home_to_merchant_km"][0] == pytest.approx(78.6, abs=0.1)
    assert features["payments_in_category_60d"].to_list() == [0, 0, 0]
    assert features["count_24h"].to_list() == [1, 2, 1]


def test_the_age_is_that_of_the_day_of_the_payment():
    birthdays = SPARKOV.with_columns(pl.Series("dob", ["1988-01-01", "1988-01-02", "1979-03-09"]))
    assert adapt(birthdays)["age"].to_list() == [31, 30, 40]


@pytest.mark.data
def test_the_handbook_is_read_as_published(recorded, tmp_path):
    part = pl.scan_parquet(recorded / "handbook_transactions.parquet").head(2000).collect()
    part.write_parquet(tmp_path / "part.parquet")
    found = read(tmp_path / "part.parquet", detector)
    assert found.refused.is_empty()
    assert found.frame["user"].to_list()[:2] == [str(name) for name in part["CUSTOMER_ID"][:2]]
    assert found.frame["merchant"].dtype == pl.String
    assert found.frame["amount"].to_list() == part["TX_AMOUNT"].to_list()
    assert replay(detector, found)["count_24h"].null_count() == 0
