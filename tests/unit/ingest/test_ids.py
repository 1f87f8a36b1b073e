"""Ids are kept exactly as sent, and made where none is sent."""

import re

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest.events import ARRIVED_US, payment, reader

from penstock.codes import text_codes

READER = reader()


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200))
def test_an_id_is_kept_exactly(name):
    assert READER.read([payment(tx=name)], 0).batch.ids == [name]
    assert READER.read_objects([{"tx": name, "at": 1, "card": "c", "amount": 1}], 0).batch.ids == [name]
    assert READER.read_frame(pl.DataFrame({"tx": [name], "at": [1], "card": ["c"], "amount": [1]})).batch.ids == [name]


def test_a_whole_number_as_id_is_its_digits():
    big = 10**25
    assert READER.read([payment(tx=7), payment(tx=big), payment(tx=-1)], 0).batch.ids == ["7", str(big), "-1"]


def test_events_without_an_id_get_new_ones_that_sort_by_arrival():
    first = READER.read([payment(tx=None), payment(tx=...), payment(tx="mine"), payment(tx=None)], ARRIVED_US).batch.ids
    later = READER.read_objects([{"at": 1, "card": "c", "amount": 1}], ARRIVED_US + 1_000).batch.ids
    made = [*first[:2], first[3], *later]
    assert first[2] == "mine"
    assert len(set(made)) == 4
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", name) for name in made)
    assert max(made[:3]) < later[0]
    assert int(made[0].replace("-", "")[:12], 16) == ARRIVED_US // 1000


def test_two_readers_never_make_the_same_id():
    names = [source.read([payment(tx=None)] * 50, ARRIVED_US).batch.ids for source in (READER, reader())]
    assert len({*names[0], *names[1]}) == 100


def test_rows_without_an_id_are_named_after_their_place():
    frame = pl.DataFrame({"tx": [None, "mine", None], "at": [1, 2, 3], "card": ["a", "b", "c"], "amount": [1, 2, 3]})
    assert READER.read_frame(frame).batch.ids == ["row-000001", "mine", "row-000003"]
    assert READER.read_frame(frame.drop("tx"), name="march", first=41).batch.ids == [
        "march-000041",
        "march-000042",
        "march-000043",
    ]


def test_unusable_ids_in_a_frame_are_refused_row_by_row():
    frame = pl.DataFrame({"tx": ["", "a\tb", "x" * 201, "fine"], "at": [1] * 4, "card": ["c"] * 4, "amount": [1] * 4})
    read = READER.read_frame(frame)
    assert read.batch.ids == ["fine"]
    assert [refusal.detail for _, refusal in read.refused] == [
        "row 1: tx is empty",
        "row 2: tx holds a control character",
        "row 3: tx has 201 characters",
    ]


def test_codes_of_ids_come_with_them_whether_sent_or_made():
    read = READER.read([payment(tx="é"), payment(tx=7), payment(tx=None)], 0)
    assert read.id_codes.tolist() == text_codes(read.batch.ids).tolist()
    frame = pl.DataFrame({"tx": [None, "b"], "at": [1, 1], "card": ["c", "c"], "amount": [1, 1]})
    found = READER.read_frame(frame)
    assert found.id_codes.tolist() == text_codes(["row-000001", "b"]).tolist()
