"""Texts as inputs: what stands for a category, for an unseen one, for a missing one."""

import json
import math

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.models.categories import LEAST_ROWS, Encoding


def log_odds(p):
    return math.log(p / (1 - p))


def rows(**counts):
    """texts and outcomes: `a=(rows, frauds)`."""
    texts = [text for text, (n, _) in counts.items() for _ in range(n)]
    y = np.array([float(at < frauds) for n, frauds in counts.values() for at in range(n)])
    return text_codes(texts), texts, y


def test_a_category_is_worth_its_rate_of_fraud_with_one_more_fraud_at_the_base_rate() -> None:
    codes, texts, y = rows(risky=(100, 40), safe=(900, 10))
    base = 50.5 / 1001
    encoding = Encoding.fit(codes, texts, y)
    assert encoding.values["risky"] == pytest.approx(log_odds(41 / (100 + 1 / base)))
    assert encoding.values["safe"] == pytest.approx(log_odds(11 / (900 + 1 / base)))
    assert encoding.usual == "safe"


def test_an_unseen_and_a_rare_text_are_worth_the_base_rate_and_a_missing_one_is_missing() -> None:
    codes, texts, y = rows(common=(200, 20), rare=(LEAST_ROWS - 1, 0))
    encoding = Encoding.fit(codes, texts, y)
    found = encoding.encode(text_codes(["rare", "never seen", None]))
    assert found[0] == found[1] == encoding.unseen == pytest.approx(log_odds(20.5 / (len(y) + 1)))
    assert np.isnan(found[2])
    assert "rare" not in encoding.values


def test_nulls_are_no_category() -> None:
    codes = text_codes([None] * 50 + ["a"] * 20)
    encoding = Encoding.fit(codes, [None] * 50 + ["a"] * 20, np.zeros(70))
    assert list(encoding.values) == ["a"]
    assert encoding.usual == "a"


def test_it_encodes_as_a_dict_does() -> None:
    """Sorted codes and a binary search against the plain way."""
    rng = np.random.default_rng(0)
    texts = [f"text {i}" for i in rng.integers(0, 300, 5000)]
    encoding = Encoding.fit(text_codes(texts), texts, (rng.random(5000) < 0.1).astype(float))
    asked = [f"text {i}" for i in range(400)]
    assert encoding.encode(text_codes(asked)).tolist() == [encoding.values.get(text, encoding.unseen) for text in asked]


def test_it_comes_back_from_json_as_it_was() -> None:
    codes, texts, y = rows(a=(100, 7), b=(33, 0))
    encoding = Encoding.fit(codes, texts, y)
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert (again.values, again.unseen, again.usual) == (encoding.values, encoding.unseen, encoding.usual)
    assert np.array_equal(again.encode(codes), encoding.encode(codes))


def test_training_rows_are_not_told_their_own_outcome() -> None:
    """Texts without any meaning: read with their own outcomes they seem to rank frauds, out of fold they do not."""
    rng = np.random.default_rng(1)
    texts = [f"shop {i}" for i in rng.integers(0, 500, 10_000)]
    codes = text_codes(texts)
    y = (rng.random(10_000) < 0.1).astype(float)
    own = Encoding.fit(codes, texts, y).encode(codes)
    other = Encoding.out_of_fold(codes, y)
    assert own[y == 1].mean() - own[y == 0].mean() > 0.1
    assert abs(other[y == 1].mean() - other[y == 0].mean()) < 0.05


def test_out_of_fold_rows_read_what_the_other_rows_say() -> None:
    codes, texts, y = rows(a=(60, 6), b=(60, 30))
    found = Encoding.out_of_fold(codes, y)
    others = np.arange(len(y)) % 5 != 3
    expected = Encoding.fit(codes[others], [t for t, o in zip(texts, others, strict=True) if o], y[others]).encode(codes)
    assert found[~others].tolist() == expected[~others].tolist()
