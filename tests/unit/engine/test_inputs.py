"""The matrix that models read of a batch."""

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.engine.inputs import Inputs
from penstock.messages import Batch, Layout, Type
from penstock.models.categories import Encoding


@pytest.fixture
def layout():
    layout = Layout()
    for name, type_ in [("amount", Type.NUMBER), ("country", Type.TEXT), ("night", Type.BOOLEAN), ("shop", Type.TEXT)]:
        layout.add(name, type_)
    return layout


def batch(numbers, countries, shops):
    n = len(countries)
    codes = np.column_stack([text_codes(countries), text_codes(shops)])
    none = np.zeros(n, np.int64)
    return Batch([""] * n, np.zeros(n, np.uint8), none, none, np.array(numbers, float), codes, {})


ENCODINGS = {
    "country": Encoding({"NO": -5.0, "DE": -4.0}, unseen=-4.5, usual="DE"),
    "shop": Encoding({"toys": -1.0}, unseen=-2.0, usual="toys"),
}


def test_numbers_and_encoded_texts_stand_in_the_models_order(layout) -> None:
    inputs = Inputs(layout, ["shop", "night", "country", "amount"], ENCODINGS)
    rows = batch([[10.0, 1.0], [20.0, np.nan], [30.0, 0.0]], ["NO", "XX", None], ["toys", "food", "toys"])
    expected = [[-1.0, 1.0, -5.0, 10.0], [-2.0, np.nan, -4.5, 20.0], [-1.0, 0.0, np.nan, 30.0]]
    found = inputs.matrix(rows)
    assert np.array_equal(found, expected, equal_nan=True)
    assert found.flags.c_contiguous
    assert np.array_equal(inputs.matrix(rows, np.array([2, 0], np.int32)), np.array(expected)[[2, 0]], equal_nan=True)


def test_numbers_alone_are_taken_as_they_are(layout) -> None:
    rows = batch([[10.0, 1.0], [20.0, np.nan]], ["NO", "DE"], ["toys", "toys"])
    assert np.array_equal(Inputs(layout, ["night", "amount"]).matrix(rows), [[1.0, 10.0], [np.nan, 20.0]], equal_nan=True)


def test_a_text_without_an_encoding_is_missing_and_its_codes_are_to_be_found(layout) -> None:
    """So training gathers rows before it has fitted the encodings."""
    inputs = Inputs(layout, ["amount", "shop", "country"])
    found = inputs.matrix(batch([[10.0, 1.0]], ["NO"], ["toys"]))
    assert np.array_equal(found, [[10.0, np.nan, np.nan]], equal_nan=True)
    assert inputs.texts == {"shop": 1, "country": 0}


def test_no_rows_are_no_error(layout) -> None:
    inputs = Inputs(layout, ["amount", "shop"], ENCODINGS)
    assert inputs.matrix(batch(np.empty((0, 2)), [], [])).shape == (0, 2)
