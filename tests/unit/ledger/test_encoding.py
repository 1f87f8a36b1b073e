import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penstock.codes import text_codes
from penstock.ledger.encoding import decode, encode, header_of, intact
from penstock.messages import Record

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
dtypes = st.sampled_from([np.dtype(name) for name in ("f8", "f4", "i8", "i4", "u1", "?")])


@st.composite
def records(draw):
    n = draw(st.integers(0, 6))
    arrays = {
        name: draw(hnp.arrays(draw(dtypes), (n, *draw(st.sampled_from([(), (0,), (1,), (3,)])))))
        for name in draw(st.lists(st.sampled_from("abc"), unique=True))
    }
    columns = {**arrays, "text": draw(st.lists(st.none() | texts, min_size=n, max_size=n))}
    ids = draw(st.lists(texts, min_size=n, max_size=n))
    times = draw(hnp.arrays(np.int64, (2, n)))
    meta = draw(st.dictionaries(texts, st.none() | st.integers(-9, 9) | texts))
    return Record("decisions", "banking", draw(st.integers(0, 2**60)), ids, text_codes(ids), times[0], times[1], columns, meta)


@given(records(), st.integers(0, 2**62), st.binary(max_size=9))
def test_bytes_hold_a_record_to_the_last_bit_wherever_they_lie(record, position, before):
    data = before + encode(record, position)
    header = header_of(data, len(before))
    assert (header.position, header.rows, header.kind, header.total) == (
        position,
        len(record),
        "decisions",
        len(data) - len(before),
    )
    assert intact(header, data, len(before))
    got = decode(header, data, len(before))
    assert (got.ids, got.meta, got.first_seq, got.detector) == (record.ids, record.meta, record.first_seq, record.detector)
    assert set(got.columns) == set(record.columns)
    for name, column in record.columns.items():
        if isinstance(column, list):
            assert got.columns[name] == column
        else:
            assert (got.columns[name].dtype, got.columns[name].shape) == (column.dtype, column.shape)
            assert got.columns[name].tobytes() == column.tobytes()
    for name in ("codes", "time_us", "arrived_us"):
        assert getattr(got, name).tolist() == getattr(record, name).tolist()


def test_no_flipped_bit_goes_unnoticed(record):
    data = bytearray(encode(record(["a", "b"], 7), 3))
    for at in range(len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            header = header_of(data)
            assert header is None or not intact(header, bytes(data))
            data[at] ^= 1 << bit


def test_objects_have_no_bytes(record):
    with pytest.raises(ValueError, match="has no bytes"):
        encode(record(["a"], 0, odd=np.array([{}])), 0)
