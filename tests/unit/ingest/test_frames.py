"""A recorded frame is read column by column, and gives what its rows would give one by one."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest.events import payment, reader, same, value

from penstock.clock import to_us
from penstock.codes import text_codes
from penstock.errors import DataError

READER = reader()
ZONED = reader(naive_times="America/New_York")

keys = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["a", "b", "é"]))
rows = st.fixed_dictionaries(
    {
        "tx": st.text("abc é", min_size=1, max_size=5),
        "at": st.datetimes(datetime(1965, 1, 1), datetime(2105, 1, 1)),  # noqa: DTZ001  naive on purpose
        "card": keys,
        "shop": keys,
        "amount": st.one_of(st.none(), st.floats(-1, 2e6), st.sampled_from([0.1, np.inf, np.nan])),
        "items": st.one_of(st.none(), st.integers(0, 2**60)),
        "present": st.booleans(),
        "channel": st.sampled_from(["web", "shop", "phone", None]),
        "currency": st.sampled_from(["EUR", "USD", "euro"]),
        "born": st.one_of(st.none(), st.datetimes(datetime(1890, 1, 1), datetime(2000, 1, 1))),  # noqa: DTZ001  as above
        "fraud": st.one_of(st.none(), st.booleans()),
    }
)
SCHEMA = {
    "tx": pl.String, "at": pl.Datetime("us"), "card": pl.String, "shop": pl.String, "amount": pl.Float64, "items": pl.Int64,
    "present": pl.Boolean, "channel": pl.String, "currency": pl.String, "born": pl.Datetime("us"), "fraud": pl.Boolean,
}  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(rows, max_size=8))
def test_a_frame_equals_its_rows_bit_for_bit(found):
    frame = pl.DataFrame(found, schema=SCHEMA)
    whole = ZONED.read_frame(frame)
    single = ZONED.read_objects(frame.to_dicts(), 0)
    single.batch.arrived_us = single.batch.time_us  # recorded events arrived when they happened
    assert whole.rows.tolist() == single.rows.tolist()
    assert same(whole.batch, single.batch)
    assert whole.id_codes.tolist() == single.id_codes.tolist() == text_codes(whole.batch.ids).tolist()
    assert [i for i, _ in whole.refused] == [i for i, _ in single.refused]
    for (_, one), (_, other) in zip(whole.refused, single.refused, strict=True):
        assert {name for name, _ in one.errors} == {name for name, _ in other.errors}
    fraud = [1.0 if row["fraud"] else np.nan if row["fraud"] is None else 0.0 for row in (found[i] for i in whole.rows)]
    assert whole.labels[0] is not None
    assert np.array_equal(whole.labels[0], fraud, equal_nan=True)


def frame(**columns):
    usual = {"tx": ["a", "b", "c"], "at": [1, 2, 3], "card": ["x", "y", "z"], "amount": [1.0, 2.0, 3.0]}
    return pl.DataFrame({name: column for name, column in (usual | columns).items() if column is not ...})


AT = datetime(2026, 2, 6, 10, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([AT] * 3, dtype=pl.Datetime("us", "UTC")),
        pl.Series([AT] * 3, dtype=pl.Datetime("ms", "UTC")),
        pl.Series([AT] * 3, dtype=pl.Datetime("ns", "UTC")),
        pl.Series([AT] * 3).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series([AT.isoformat()] * 3),
        pl.Series(["2026-02-06 10:00:00.25Z"] * 3),
        pl.Series([to_us(AT)] * 3),
        pl.Series([to_us(AT) // 1000] * 3),
        pl.Series([to_us(AT) / 1e6] * 3),
        pl.Series([str(to_us(AT))] * 3),
        pl.Series([to_us(AT) / 1e3] * 3, dtype=pl.Float64),
    ],
)
def test_times_of_any_unit_zone_and_form_are_the_same_instant(column):
    assert READER.read_frame(frame(at=column)).batch.time_us.tolist() == [to_us(AT)] * 3


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([datetime(2026, 7, 1, 12)] * 3),  # noqa: DTZ001  naive on purpose
        pl.Series(["2026-07-01 12:00:00"] * 3),
        pl.Series(["2026-07-01T12:00"] * 3),
    ],
)
def test_naive_times_are_read_in_the_declared_zone_or_refused_as_a_column(column):
    assert ZONED.read_frame(frame(at=column)).batch.time_us.tolist() == [to_us(datetime(2026, 7, 1, 16, tzinfo=UTC))] * 3
    with pytest.raises(DataError, match=r"column 'at' holds times without a zone.*in row 1.*naive_times='UTC'"):
        READER.read_frame(frame(at=column))


def test_a_date_is_its_midnight():
    found = reader(naive_times="UTC").read_frame(frame(at=[date(2026, 2, 6)] * 3)).batch.time_us
    assert found.tolist() == [to_us(datetime(2026, 2, 6, tzinfo=UTC))] * 3


@pytest.mark.parametrize(
    ("field", "column", "values"),
    [
        ("card", [7, 8, 9], ["7", "8", "9"]),
        ("card", [7.0, 8.0, 9e9], ["7", "8", "9000000000"]),
        ("card", pl.Series(["a", "b", "a"], dtype=pl.Categorical), ["a", "b", "a"]),
        ("shop", [None, None, None], [None, None, None]),
        ("shop", pl.Series([1.0, None, float("nan")]), ["1", None, None]),
        ("channel", pl.Series(["web", "shop", None], dtype=pl.Enum(["shop", "web"])), ["web", "shop", None]),
        ("amount", ["1.5", "2", "3e2"], [1.5, 2, 300]),
        ("amount", [1, 2, 3], [1, 2, 3]),
        ("amount", pl.Series([1.25, 2, 3], dtype=pl.Float32), [1.25, 2, 3]),
        ("amount", pl.Series(["1.10", "2.20", "3.30"]).cast(pl.Decimal(10, 2)), [1.1, 2.2, 3.3]),
        ("items", [1.0, None, float("nan")], [1, None, None]),
        ("present", [0, 1, 1], [0, 1, 1]),
        ("present", ["False", "yes", "1"], [0, 1, 1]),
        ("present", [True, None, False], [1, 0, 0]),
        ("currency", ["USD", None, "EUR"], ["USD", "EUR", "EUR"]),
    ],
)  # fmt: skip
def test_a_column_is_coerced_where_its_meaning_is_plain(field, column, values):
    read = READER.read_frame(frame(**{field: column}))
    assert read.refused == []
    assert [value(READER, read.batch, field, row) for row in range(3)] == values


@pytest.mark.parametrize(
    ("field", "column", "said"),
    [
        ("amount", ..., ["column 'amount' is missing", "a number at least 0"]),
        ("card", ..., ["column 'card' is missing", "text"]),
        ("amount", ["much", None, "more"], ["column 'amount'", "row 1", '"much"', "a number"]),
        ("amount", [None, "more", "most"], ["column 'amount'", "row 2", '"more"']),
        ("amount", [[1.0], [2.0], [3.0]], ["column 'amount'", "List", "row 1"]),
        ("amount", [True, False, True], ["column 'amount'", "Boolean", "row 1 is true"]),
        ("at", ["soon", "later", "never"], ["column 'at'", "row 1", '"soon"', "2026-02-06T10:00:00Z"]),
        ("at", [timedelta(1)] * 3, ["column 'at'", "Duration"]),
        ("card", [1.5, 2.0, 3.0], ["column 'card'", "Float64", "text"]),
        ("card", [True, False, True], ["column 'card'", "Boolean"]),
        ("tx", [True, False, True], ["column 'tx'", "Boolean"]),
        ("present", [2, 3, 4], ["column 'present'", "row 1 is 2", "true or false"]),
        ("fraud", ["perhaps", "no", "yes"], ["column 'fraud' is the label", "row 1", '"perhaps"']),
    ],
)
def test_a_column_that_cannot_be_meant_is_an_error_that_names_it(field, column, said):
    with pytest.raises(DataError) as error:
        READER.read_frame(frame(**{field: column}))
    assert all(part in str(error.value) for part in said), error.value


def test_a_misspelt_column_is_recognised():
    with pytest.raises(DataError, match=r"Did you mean Amount\?"):
        READER.read_frame(frame().rename({"amount": "Amount"}))


def test_rows_that_are_no_events_are_refused_and_the_rest_is_used():
    read = READER.read_frame(frame(amount=["1", "-3", None], card=["x", None, "z"]), first=101)
    assert read.rows.tolist() == [0]
    assert read.batch.ids == ["a"]
    assert [(row, dict(refusal.errors)) for row, refusal in read.refused] == [
        (1, {
            "amount": 'row 102: amount is -3.0; expected a number at least 0 and at most 1000000',
            "card": "row 102: card is missing; expected text",
        }),
        (2, {"amount": "row 103: amount is missing; expected a number at least 0 and at most 1000000"}),
    ]  # fmt: skip


def test_infinity_is_refused_and_nan_is_null():
    read = READER.read_frame(frame(amount=[np.inf, np.nan, 1.0]))
    assert read.rows.tolist() == [2]
    assert [refusal.detail.split(";")[0] for _, refusal in read.refused] == [
        "row 1: amount is inf, too large: at a resolution of 1e-06 a number has at most 1.15292e+12",
        "row 2: amount is missing",
    ]


def test_arrival_is_its_own_column_or_the_event_time():
    late = frame(arrived_at=[10, 20, 30])
    assert READER.read_frame(late).batch.arrived_us.tolist() == [1_000_000, 2_000_000, 3_000_000]
    assert READER.read_frame(late, arrived="arrived_at").batch.arrived_us.tolist() == [10_000_000, 20_000_000, 30_000_000]


@pytest.mark.parametrize(
    ("column", "arrived", "said"),
    [
        ([1, 2, 3], "arived_at", "Did you mean arrived_at?"),
        ([1, None, 3], "arrived_at", "row 2 has none"),
        (["1970-01-01T00:00:00Z", "soon", None], "arrived_at", 'row 2 is "soon"'),
        ([datetime(2026, 1, 1)] * 3, "arrived_at", "naive_times='UTC'"),  # noqa: DTZ001  naive on purpose
        ([timedelta(1)] * 3, "arrived_at", "expected times"),
    ],
)
def test_arrivals_must_all_be_readable(column, arrived, said):
    with pytest.raises(DataError) as error:
        READER.read_frame(frame(arrived_at=column), arrived=arrived)
    assert said in str(error.value)


def test_labels_come_with_the_time_at_which_they_were_known():
    found = READER.read_frame(frame(fraud=[1, 0, None], label_known_at=[100, None, 300])).labels
    assert found[0] is not None
    assert found[1] is not None
    assert np.array_equal(found[0], [1, 0, np.nan], equal_nan=True)
    assert found[1].tolist() == [100_000_000, -1, 300_000_000]


def test_labels_of_refused_rows_are_left_out():
    found = READER.read_frame(frame(fraud=[True, True, False], amount=[1, -1, 1])).labels
    assert found[0] is not None
    assert found[0].tolist() == [1.0, 0.0]
    assert found[1] is None


def test_without_labels_there_are_none():
    assert READER.read_frame(frame()).labels == (None, None)
    assert reader(label=None).read_frame(frame(fraud=[True, False, None])).labels == (None, None)


def test_objects_carry_their_labels_as_rows_do():
    events = [{"tx": str(k), "at": 1, "card": "c", "amount": 1, "fraud": fraud} for k, fraud in enumerate([True, None, 0])]
    found = READER.read_objects(events, 0).labels
    assert found[0] is not None
    assert np.array_equal(found[0], [1, np.nan, 0], equal_nan=True)


def test_columns_that_are_not_declared_are_dropped_or_kept():
    read = reader(keep_unknown=True).read_frame(frame(note=["n", None, "m"], amount=[1, -1, 2]))
    assert read.extras == [b'{"note":"n"}', b'{"note":"m"}']
    assert READER.read_frame(frame(note=["n", None, "m"])).extras == []


def test_an_empty_frame_is_an_empty_batch():
    read = READER.read_frame(frame()[:0])
    assert len(read.batch) == 0
    assert set(read.batch.texts) == {"card", "shop", "channel", "currency"}


def test_a_piece_of_a_frame_is_read_as_the_whole_is():
    whole = frame(card=["x", "y", "x"], shop=[None, "é", ""])
    pieces = [READER.read_frame(piece).batch for piece in (whole[:1], whole[1:])]
    together = READER.read_frame(whole).batch
    assert together.x.tobytes() == b"".join(batch.x.tobytes() for batch in pieces)
    assert together.codes.tobytes() == b"".join(batch.codes.tobytes() for batch in pieces)


def test_json_and_frame_agree_on_the_same_event():
    sent = READER.read([payment(tx="a", at=1, card="x", amount=1.0)], 1_000_000).batch
    assert same(sent, READER.read_frame(frame()[:1]).batch)
