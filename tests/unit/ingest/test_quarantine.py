"""What is kept of a refused event shows its cause and nobody's card number."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.ingest import masked


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        (b"4111111111111111", b"************1111"),
        (b'{"card": "4111 1111 1111 1111"}', b'{"card": "**** **** **** 1111"}'),
        (b"4111-1111-1111-1111,", b"****-****-****-1111,"),
        (b"x378282246310005y", b"x***********0005y"),  # 15 digits
        (b"4222222222222", b"*********2222"),  # 13 digits
        (b"6304000000000000000", b"***************0000"),  # 19 digits
        (b"4111111111111112", b"4111111111111112"),  # wrong check digit
        (b"411111111111", b"411111111111"),  # too short
        (b"41111111111111111111", b"41111111111111111111"),  # too long
        (b"\xff4111111111111111\xff", b"\xff************1111\xff"),
    ],
)
def test_what_looks_like_a_card_number_is_masked_except_for_its_last_four(original, kept):
    assert masked(original) == kept


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        (b"4111111111111111 and 5500005555555559", b"************1111 and ************5559"),
        (b"4111111111111111 5500005555555559", b"************1111 ************5559"),
        (b"4111111111111111 12/26 123", b"************1111 12/26 123"),
        (b"7 4111-1111-1111-1111 999", b"7 ****-****-****-1111 999"),
    ],
)
def test_cards_are_masked_beside_other_numbers(original, kept):
    assert masked(original) == kept


def test_values_of_personal_fields_are_hidden_at_any_depth():
    original = b'[{"name": "Meier", "amount": "x"}, {"a": {"name": 5}}, {"name": null}]'
    found = msgspec.json.decode(masked(original, ["name"]))
    assert found == [{"name": "[personal]", "amount": "x"}, {"a": {"name": "[personal]"}}, {"name": None}]


def test_json_without_personal_fields_is_kept_to_the_byte():
    original = b'{ "amount" :  "x" }'
    assert masked(original, ["name"]) == original


def test_personal_values_in_broken_json_are_blanked_to_the_end_of_the_line():
    kept = masked(b'{"amount": 5, "name": "Meier, Anna", \n "tx": "1"', ["name"])
    assert b"Meier" not in kept
    assert b'"amount": 5' in kept
    assert b'"tx": "1"' in kept


def test_much_is_cut_and_a_card_at_the_cut_is_masked_all_the_same():
    original = b"x" * 4080 + b"4111111111111111" + b"y" * 100_000
    kept = masked(original)
    assert len(kept) == 4096
    assert kept.endswith(b"...[cut]")
    assert b"41111111" not in kept


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=5000))
def test_any_bytes_are_kept_within_bounds(original):
    kept = masked(original, ["name"])
    assert len(kept) <= 4096
    assert masked(kept) == kept


@settings(max_examples=100, deadline=None)
@given(st.integers(10**12, 10**18 - 1), st.sampled_from(["", " ", "-"]))
def test_every_number_with_a_right_check_digit_is_masked(number, between):
    digits = str(number)
    doubled = [int(d) * 2 if k % 2 == 0 else int(d) for k, d in enumerate(reversed(digits))]
    digits += str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)
    text = between.join(digits[k : k + 4] for k in range(0, len(digits), 4))
    kept = masked(f"<{text}>".encode()).decode()
    assert len(kept) == len(text) + 2
    assert [c for c in kept if c.isdigit()] == list(digits[-4:])
