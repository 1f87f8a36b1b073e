"""Recorded data: whatever the file calls a number, a time or a key becomes what the event declares."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Annotated

import msgspec
import polars as pl
import pytest
from msgspec import Meta

from penstock.errors import DataError
from penstock.ingest import Schema
from penstock.offline.datasets import read, read_file
from penstock.wiring.traffic.events import write_frame


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: Annotated[float, Meta(ge=0)]
    items: int | None = None
    is_fraud: bool | None = None


class Login(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    method: str


class Unnamed(msgspec.Struct, kw_only=True):
    transaction_id: str | None = None
    timestamp: datetime
    customer_id: str
    amount: float


def detector(event=Payment, **more):
    plain = {
        "name": "mine",
        "event": event,
        "informs": (),
        "id": "transaction_id",
        "time": "timestamp",
        "recorded": None,
        "label": None,
    }
    informs = more.get("informs", ())
    schema = Schema(event, informs, id="transaction_id", time="timestamp", naive_times=more.pop("naive_times", "UTC"))
    return SimpleNamespace(**(plain | {"schema": schema} | more))


def payments(**columns):
    plain = {
        "transaction_id": ["a", "b"],
        "timestamp": ["2026-01-01T10:00:00Z"] * 2,
        "customer_id": ["C1", "C2"],
        "amount": [1.0, 2.0],
    }
    return pl.DataFrame(plain | columns)


def refusals(recorded):
    return [(row["row"], row["message"]) for row in recorded.refused.to_dicts()]


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson", "jsonl"])
def test_every_kind_of_file_gives_the_same_events(tmp_path, ending):
    frame = payments(is_fraud=[True, False], items=[1, None])
    path = tmp_path / f"payments.{ending}"
    {"csv": frame.write_csv, "parquet": frame.write_parquet}.get(ending, frame.write_ndjson)(path)
    assert read(path, detector()).frame.equals(read(frame, detector()).frame)


def test_a_pandas_free_arrow_table_is_a_frame_too():
    assert read(payments().to_dict(as_series=False), detector()).frame.height == 2


def test_events_have_the_declared_columns_and_types():
    frame = read(payments(is_fraud=[1, 0], ignored=["x", "y"]), detector()).frame
    assert frame.schema == pl.Schema(
        {
            "row": pl.UInt32,
            "transaction_id": pl.String,
            "timestamp": pl.Datetime("us", "UTC"),
            "customer_id": pl.String,
            "amount": pl.Float64,
            "items": pl.Int64,
            "is_fraud": pl.Boolean,
        }
    )
    assert frame["is_fraud"].to_list() == [True, False]


def test_keys_keep_their_zeros_in_a_csv_file(tmp_path):
    path = tmp_path / "payments.csv"
    payments(customer_id=["007", "7"]).write_csv(path)
    assert read(path, detector()).frame["customer_id"].to_list() == ["007", "7"]


def test_whole_numbers_that_a_gap_turned_into_floats_are_keys_without_a_point():
    frame = payments(customer_id=[17.0, 18.0])
    assert read(frame, detector()).frame["customer_id"].to_list() == ["17", "18"]


@pytest.mark.parametrize(
    "given",
    [
        "2026-01-01T10:00:00Z",
        "2026-01-01T12:00:00+02:00",
        "2026-01-01 10:00:00",
        "2026-01-01T10:00:00.000",
        1767261600,
        1767261600.0,
        1767261600_000,
        1767261600_000000,
        "1767261600",
        datetime(2026, 1, 1, 10),  # noqa: DTZ001 -- naive on purpose
        datetime(2026, 1, 1, 10, tzinfo=UTC),
    ],
    ids=repr,
)
def test_a_time_is_read_in_any_usual_form(given):
    frame = read(payments(timestamp=[given, given]), detector()).frame
    assert frame["timestamp"].to_list() == [datetime(2026, 1, 1, 10, tzinfo=UTC)] * 2


def test_naive_times_are_read_in_the_declared_zone():
    frame = read(payments(timestamp=["2026-07-01 10:00:00"] * 2), detector(naive_times="Europe/Berlin")).frame
    assert frame["timestamp"][0] == datetime(2026, 7, 1, 8, tzinfo=UTC)


def test_naive_times_are_refused_where_the_detector_does_not_say_what_they_mean():
    with pytest.raises(DataError, match=r"column 'timestamp' holds times without a zone.*naive_times='UTC'"):
        read(payments(timestamp=["2026-07-01 10:00:00"] * 2), detector(naive_times=None))


def test_events_come_in_order_of_time_and_row():
    times = ["2026-01-01T10:00:01Z", "2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"]
    frame = payments(transaction_id=["c", "a", "b"], timestamp=times, customer_id=["C"] * 3, amount=[1.0] * 3)
    assert read(frame, detector()).frame["transaction_id"].to_list() == ["a", "b", "c"]


def test_an_arrival_column_decides_the_order():
    start = datetime(2026, 1, 1, 10, tzinfo=UTC)
    frame = payments(arrived_at=[start + timedelta(hours=1), start])
    assert read(frame, detector()).frame["transaction_id"].to_list() == ["b", "a"]


def test_rows_without_an_id_are_named_after_file_and_row(tmp_path):
    path = tmp_path / "march.csv"
    payments(timestamp=["2026-01-01T10:00:01Z", "2026-01-01T10:00:00Z"]).drop("transaction_id").write_csv(path)
    assert read(path, detector(Unnamed)).frame["transaction_id"].to_list() == ["march-1", "march-0"]


def test_a_row_that_cannot_be_an_event_is_refused_with_its_cause_and_the_rest_is_used():
    frame = pl.DataFrame(
        {
            "transaction_id": ["a", "b", "c", "d", "e", "f"],
            "timestamp": [
                "2026-01-01T10:00:00Z",
                "soon",
                "2026-01-01T10:00:00Z",
                "2200-01-01T10:00:00Z",
                *["2026-01-01T10:00:00Z"] * 2,
            ],
            "customer_id": ["C", "C", None, "C", "C", "C"],
            "amount": ["1", "2", "3", "4", "much", "-1"],
        }
    )
    recorded = read(frame, detector())
    assert recorded.frame["transaction_id"].to_list() == ["a"]
    assert refusals(recorded) == [
        (1, "timestamp: soon is not a time (ISO 8601, or seconds since 1970)"),
        (2, "customer_id is missing"),
        (3, "timestamp: 2200-01-01T10:00:00Z lies outside 1970 to 2100"),
        (4, "amount: much is not a number"),
        (5, "amount: -1 must be at least 0"),
    ]


def test_a_missing_optional_field_is_null():
    assert read(payments(), detector()).frame["items"].to_list() == [None, None]


def test_not_a_number_is_null():
    frame = read(payments(amount=[1.0, float("nan")]), detector())
    assert refusals(frame) == [(1, "amount: NaN is not a number")]


def test_a_number_with_a_fraction_is_no_whole_number():
    recorded = read(payments(items=[2.5, 3.0]), detector())
    assert refusals(recorded) == [(0, "items: 2.5 is not a whole number")]
    assert recorded.frame["items"].to_list() == [3]


def test_a_missing_required_column_names_the_file_and_the_column_that_was_meant(tmp_path):
    path = tmp_path / "payments.csv"
    payments().rename({"amount": "amuont"}).write_csv(path)
    with pytest.raises(
        DataError, match=r"payments\.csv has no column 'amount', which an event of 'mine' needs\. Did you mean amuont\?"
    ):
        read(path, detector())


def test_a_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "payments.csv").touch()
    with pytest.raises(DataError, match=r"there is no file .*paymnets\.csv\. Did you mean payments\.csv\?"):
        read(tmp_path / "paymnets.csv", detector())


def test_an_unknown_ending_says_which_are_known(tmp_path):
    path = tmp_path / "payments.xlsx"
    path.touch()
    with pytest.raises(DataError, match=r"ends in \.csv, \.parquet, \.ndjson or \.jsonl"):
        read(path, detector())


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "payments.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"payments\.parquet cannot be read as parquet"):
        read(path, detector())


def test_what_is_no_table_is_refused():
    with pytest.raises(DataError, match="a int cannot be read as recorded events"):
        read(5, detector())


def test_a_detector_may_rename_what_its_files_call_differently():
    frame = payments().rename({"amount": "value"})
    assert read(frame, detector(recorded=lambda frame: frame.rename({"value": "amount"}))).frame["amount"].to_list() == [
        1.0,
        2.0,
    ]


def test_informing_events_have_their_own_fields_and_a_type():
    start = "2026-01-01T10:00:00Z"
    frame = pl.DataFrame(
        {
            "transaction_id": ["l", "p"],
            "type": ["Login", None],
            "timestamp": [start, start],
            "customer_id": ["C", "C"],
            "amount": [None, 2.0],
            "method": ["password", None],
        }
    )
    read_back = read(frame, detector(informs=(Login,))).frame
    assert read_back.select("type", "amount", "method").rows() == [("Login", None, "password"), (None, 2.0, None)]


def test_a_text_is_no_formula_in_a_csv_file_and_read_as_it_was(tmp_path):
    texts = ["=1+1", "+49 170", "-x", "@sum", "\tx", "\rx", "'=quoted", "'tis", "plain", None]
    frame = pl.DataFrame({"text": texts, "number": [-1.5] * len(texts)})
    write_frame(frame, tmp_path / "out.csv")
    cells = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert [cell and cell[:2] for cell in cells["text"][:6]] == ["'=", "'+", "'-", "'@", "'\t", "'\r"]
    assert set(cells["number"]) == {"-1.5"}
    assert read_file(tmp_path / "out.csv")["text"].to_list() == texts
