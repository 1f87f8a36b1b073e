"""Programs: several expressions over one batch, in order, whatever its size."""

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.errors import DeclarationError, ExpressionError
from penstock.expressions import assemble, machine, parse
from penstock.expressions.machine import BLOCK
from penstock.messages import Batch, Layout, Type

FIELDS = {
    "amount": Type.NUMBER,
    "usual": Type.NUMBER,
    "timestamp": Type.TIME,
    "browser": Type.TEXT,
    "previous": Type.TEXT,
    "zone": Type.TEXT,
}


def batch_of(layout, n, seed=0):
    rng = np.random.default_rng(seed)
    x = np.full((n, layout.width), np.nan)
    x[:, :2] = np.where(rng.random((n, 2)) < 0.1, np.nan, rng.integers(0, 8, (n, 2)))
    x[:, 2] = rng.integers(0, 2 * 10**15, n)
    texts = {
        name: [[None, "Chrome", "Safari", "UTC", "Europe/Paris"][i] for i in rng.integers(0, 5, n)]
        for name in ("browser", "previous", "zone")
    }
    codes = np.zeros((n, layout.text_width), np.int64)
    for name, column in texts.items():
        codes[:, layout[name].index] = text_codes(column)
    return Batch([""] * n, np.zeros(n, np.uint8), x[:, 2].astype(np.int64), np.zeros(n, np.int64), x, codes, texts)


def assembled(declared):
    layout = Layout()
    for name, kind in FIELDS.items():
        layout.add(name, kind)
    items = []
    for name, sql in declared.items():
        expression = parse(sql, {column: c.type for column, c in layout.items()}, place=f"feature {name!r}")
        layout.add(name, expression.type)
        items.append((expression, name))
    return assemble(items, layout), layout


MANY = {
    "ratio": "amount / usual",
    "is_night": "hour(timestamp, zone) < 6",
    "spike": "ratio > 3 AND is_night",
    "kind": "CASE WHEN ratio > 2 THEN LOWER(browser) WHEN amount IN (1, 2, 3) THEN previous ELSE 'other' END",
    "prefix": "SUBSTR(kind, 1, 2)",
    "matches": "prefix LIKE 's%' OR kind = browser",
    "rounded": "ROUND(amount * 1.5, 1) + LN(usual) + POWER(amount, 2) % 7",
    "listed": "browser IN ('Chrome', 'UTC') AND COALESCE(previous, 'x') <> NULLIF(browser, 'Safari')",
    "far": "DISTANCE_KM(amount, usual, usual, amount) > LEAST(500, amount * 100)",
    "weekday": "weekday(timestamp) + month(timestamp, 'America/Sao_Paulo') * 100 + IF(is_weekend(timestamp), 7, 0)",
}


def results(batch):
    return batch.x.copy(), batch.codes.copy(), dict(batch.texts)


def same(left, right):
    return np.array_equal(left[0], right[0], equal_nan=True) and np.array_equal(left[1], right[1]) and left[2] == right[2]


def rows_of(batch, rows):
    return Batch(batch.ids[rows], batch.kinds[rows], batch.time_us[rows], batch.arrived_us[rows], batch.x[rows].copy(),
                 batch.codes[rows].copy(), {name: column[rows] for name, column in batch.texts.items()})  # fmt: skip


def test_one_by_one_gives_what_a_batch_of_any_size_gives():
    program, layout = assembled(MANY)
    whole = batch_of(layout, 2 * BLOCK + 37)
    pieces = [rows_of(whole, slice(i, i + 1)) for i in range(0, len(whole), 40)]
    program.run(whole)
    for i, piece in zip(range(0, len(whole), 40), pieces, strict=True):
        program.run(piece)
        assert same(results(piece), results(rows_of(whole, slice(i, i + 1))))


def test_the_machine_as_plain_python_gives_the_same_within_its_bounds(monkeypatch):
    program, layout = assembled(MANY)
    compiled, plain = batch_of(layout, 40), batch_of(layout, 40)
    program.run(compiled)
    helpers = (
        "_unknown",
        "_rounded",
        "_date_part",
        "_time_part",
        "_distance_km",
        "_scalar",
        "_offset_us",
        "_zone_at",
        "_local",
    )
    for name in helpers:
        monkeypatch.setattr(machine, name, getattr(machine, name).py_func)
    monkeypatch.setattr(machine, "run_program", machine.run_program.py_func)
    with np.errstate(all="ignore"):
        program.run(plain)
    left, right = results(compiled), results(plain)
    assert np.allclose(left[0], right[0], rtol=1e-14, equal_nan=True)
    assert left[2] == right[2]


def test_an_empty_batch_is_fine():
    program, layout = assembled(MANY)
    batch = batch_of(layout, 0)
    program.run(batch)
    assert batch.x.shape[0] == 0
    assert not any(batch.texts.values())


def test_an_expression_reads_what_the_ones_before_it_computed():
    program, layout = assembled({"double": "amount * 2", "quadruple": "double * 2", "is_big": "quadruple > 8"})
    batch = batch_of(layout, 50)
    program.run(batch)
    assert np.array_equal(batch.x[:, layout["quadruple"].index], batch.x[:, 0] * 4, equal_nan=True)
    known = ~np.isnan(batch.x[:, 0])
    assert np.array_equal(batch.x[known, layout["is_big"].index], batch.x[known, 0] * 4 > 8)


def test_equal_parts_are_computed_once():
    alone, _ = assembled({"a": "amount / usual > 3"})
    twice, _ = assembled({"a": "amount / usual > 3", "b": "amount / usual > 3 AND amount / usual > 3"})
    assert twice.instructions <= alone.instructions + 2  # AND, and where to store it


def test_registers_are_used_again():
    program, _ = assembled({f"f{i}": f"amount * {i} + usual / {i + 1}" for i in range(60)})
    assert program.stages[0].registers < 10


def test_a_text_that_was_chosen_can_be_read_by_text_functions_afterwards():
    program, layout = assembled(
        {"kind": "IF(amount > 3, browser, 'Other')", "small": "LOWER(kind)", "is_other": "small LIKE 'oth%'"}
    )
    batch = batch_of(layout, 60)
    program.run(batch)
    assert batch.texts["small"] == [text and text.lower() for text in batch.texts["kind"]]
    assert np.array_equal(batch.x[:, layout["is_other"].index] == 1.0, [text == "other" for text in batch.texts["small"]])
    assert program.texts == {"kind", "small"}


def test_texts_that_are_codes_only_can_be_compared_and_passed_on():
    program, layout = assembled(
        {
            "moved": "browser <> previous",
            "known": "previous IN ('Chrome') OR previous IS NULL",
            "carried": "COALESCE(previous, 'none')",
        }
    )
    batch = batch_of(layout, 30)
    wanted = [b != p if b and p else None for b, p in zip(batch.texts["browser"], batch.texts["previous"], strict=True)]
    del batch.texts["previous"]
    program.run(batch)
    assert [None if np.isnan(v) else bool(v) for v in batch.x[:, layout["moved"].index]] == wanted
    assert "carried" not in batch.texts
    assert batch.codes[:, layout["carried"].index].all()


def test_text_functions_of_codes_only_are_an_error_with_a_remedy():
    program, layout = assembled({"shout": "UPPER(previous)"})
    batch = batch_of(layout, 3)
    del batch.texts["previous"]
    with pytest.raises(
        ExpressionError, match=r"feature 'shout': the text of 'previous' is not at hand.*use the field that it comes from"
    ):
        program.run(batch)


def test_targets_have_to_be_columns_of_the_right_type():
    layout = Layout()
    layout.add("amount", Type.NUMBER)
    expression = parse("amount > 1", {"amount": Type.NUMBER}, place="rule 'r'")
    with pytest.raises(DeclarationError, match=r"rule 'r': no column 'amuont'\. Did you mean amount\?"):
        assemble([(expression, "amuont")], layout)
    with pytest.raises(DeclarationError, match="is a boolean, the column 'amount' a number"):
        assemble([(expression, "amount")], layout)


def test_every_opcode_named_by_a_function_exists():
    from penstock.expressions.functions import FUNCTIONS

    named = {form.opcode for forms in FUNCTIONS.values() for form in forms} - {None}
    assert {name for name in named if not isinstance(getattr(machine, name, None), int)} == set()
