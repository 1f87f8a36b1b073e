"""Personal values become tokens before anything else sees them."""

import msgspec
import polars as pl
import pytest
from tests.unit.ingest.events import KEY, payment, reader, same

from penstock.codes import text_code
from penstock.errors import ConfigurationError
from penstock.ingest import tokeniser

CARD = "4111 1111 1111 1111"


def test_a_token_is_the_same_for_the_same_value_and_key_only():
    token = tokeniser(KEY)
    assert token(CARD) == token(CARD)
    assert token(CARD) != token(CARD + " ")
    assert token(CARD) != tokeniser(KEY + b"!")(CARD)
    assert token(CARD).startswith("tok_")
    assert len(token(CARD)) == 36


def test_a_long_key_counts_to_its_last_byte():
    assert tokeniser(b"k" * 100)(CARD) != tokeniser(b"k" * 101)(CARD)


@pytest.mark.parametrize("key", [None, b"", b"short"])
def test_personal_fields_need_a_real_key(key):
    with pytest.raises(ConfigurationError, match="at least 16 random bytes"):
        reader(personal=["card"], key=key)


def test_texts_and_codes_know_only_the_token():
    source = reader(personal=["card"], key=KEY)
    batch = source.read([payment(card=CARD), payment(card=17)], 0).batch
    tokens = [tokeniser(KEY)(CARD), tokeniser(KEY)("17")]
    assert batch.texts["card"] == tokens
    assert batch.codes[:, source.layout["card"].index].tolist() == [text_code(token) for token in tokens]


def test_nothing_of_a_personal_value_is_left_in_what_is_read():
    source = reader(personal=["card", "shop"], key=KEY, keep_unknown=True)
    read = source.read([payment(card=CARD, shop="Frau Meier", note="n")], 0)
    whole = msgspec.json.encode([read.batch.texts, read.extras[0], read.batch.ids, read.batch.x.tolist()])
    assert CARD.encode() not in whole
    assert b"Meier" not in whole


def test_a_missing_personal_value_stays_missing():
    source = reader(personal=["shop"], key=KEY)
    batch = source.read([payment()], 0).batch
    assert batch.texts["shop"] == [None]
    assert batch.codes[0, source.layout["shop"].index] == 0


def test_limits_hold_for_the_value_and_not_for_its_token():
    source = reader(personal=["currency"], key=KEY)
    assert len(source.read([payment(currency="USD")], 0).batch) == 1
    assert len(source.read([payment(currency="usd")], 0).refused) == 1
    frame = pl.DataFrame({"tx": ["a", "b"], "at": [1, 1], "card": ["c", "c"], "amount": [1, 1], "currency": ["USD", "usd"]})
    assert source.read_frame(frame).rows.tolist() == [0]


def test_json_objects_and_frames_give_the_same_tokens():
    source = reader(personal=["card"], key=KEY)
    event = {"tx": "t", "at": 5, "card": CARD, "amount": 1.5}
    batch = source.read([msgspec.json.encode(event)], 5_000_000).batch
    assert same(batch, source.read_objects([event], 5_000_000).batch)
    assert same(batch, source.read_frame(pl.DataFrame([event])).batch)
