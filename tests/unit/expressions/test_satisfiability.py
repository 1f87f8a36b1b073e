"""What is said of conditions without any event holds for every event: random conditions over all rows of a small world."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.codes import text_codes
from penstock.expressions import assemble, parse
from penstock.expressions.satisfiability import TooMany, can_be_true, can_fail, implies
from penstock.messages import Batch, Layout, Type

SCOPE = {"a": Type.NUMBER, "b": Type.NUMBER, "p": Type.BOOLEAN, "s": Type.TEXT}
NUMBERS, FLAGS, TEXTS = [None, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0], [None, True, False], [None, "", "x", "xy", "y", "z"]
ROWS = list(product(NUMBERS, [None, 0.5, 1.0, 2.5, 3.0], FLAGS, TEXTS))

number = st.sampled_from(["1", "2", "0.5 + 0.5"])
column = st.sampled_from(["a", "b"])
compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
atoms = st.one_of(
    st.builds(lambda c, op, n: f"{c} {op} {n}", column, compare, number),
    st.builds(lambda c, op, n: f"{n} {op} {c}", column, compare, number),
    st.builds(lambda op: f"a {op} b", compare),
    st.builds(lambda op: f"b {op} a", compare),
    st.builds(lambda c, n, m: f"{c} BETWEEN {n} AND {m}", column, number, number),
    st.builds(lambda c: f"{c} IS NULL", st.sampled_from(["a", "p", "s"])),
    st.builds(lambda c: f"{c} IS NOT NULL", st.sampled_from(["a", "p", "s"])),
    st.builds(lambda op, v: f"s {op} '{v}'", compare, st.sampled_from(["x", "y"])),
    st.sampled_from(["p", "p = 1", "p <> 1", "p = FALSE", "a IN (1, 2)", "s IN ('x', 'y')", "s NOT IN ('x')", "p IS TRUE"]),
    st.sampled_from(["1 = 1", "1 = 2", "a = NULL", "coalesce(p, TRUE)", "a + b > 1", "s LIKE 'x%'", "p = (a > 1)"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(lambda left, right: f"({left}) AND ({right})", inner, inner),
        st.builds(lambda left, right: f"({left}) OR ({right})", inner, inner),
        st.builds(lambda c: f"NOT ({c})", inner),
        st.builds(lambda c: f"({c}) IS TRUE", inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def outcomes():
    """Runs a condition over the whole world: 1 true, 0 false, NaN null for each row."""
    found = {}

    def outcome(sql):
        if sql not in found:
            layout = Layout()
            for name, kind in SCOPE.items():
                layout.add(name, kind)
            place = layout.add("out", Type.BOOLEAN).index
            program = assemble([(read(sql), "out")], layout)
            x = np.full((len(ROWS), layout.width), np.nan)
            for k in range(3):
                x[:, k] = [np.nan if row[k] is None else float(row[k]) for row in ROWS]
            texts = [row[3] for row in ROWS]
            zeros = np.zeros(len(ROWS), np.int64)
            codes = np.ascontiguousarray(text_codes(texts).reshape(-1, 1))
            batch = Batch([str(k) for k in range(len(ROWS))], zeros.astype(np.uint8), zeros, zeros, x, codes, {"s": texts})
            program.run(batch)
            found[sql] = batch.x[:, place]
        return found[sql]

    return outcome


def read(sql):
    return parse(sql, SCOPE, place="test", expect=Type.BOOLEAN)


@settings(max_examples=100, deadline=None)
@given(conditions)
def test_what_cannot_be_true_or_cannot_fail_never_does(outcomes, sql):
    try:
        possible, failing = can_be_true(read(sql).root), can_fail(read(sql).root)
    except TooMany:
        return
    came_out = outcomes(sql)
    assert possible or not (came_out == 1).any()
    assert failing or (came_out == 1).all()


@settings(max_examples=100, deadline=None)
@given(conditions, conditions)
def test_what_is_implied_is_true_wherever_the_other_is(outcomes, narrow, wide):
    try:
        implied = implies(read(narrow).root, read(wide).root)
    except TooMany:
        return
    assert not implied or (outcomes(wide)[outcomes(narrow) == 1] == 1).all()


@settings(max_examples=100, deadline=None)
@given(conditions)
def test_columns_that_are_always_known_are_taken_for_it(outcomes, sql):
    try:
        possible, failing = (can(read(sql).root, known=SCOPE) for can in (can_be_true, can_fail))
    except TooMany:
        return
    came_out = outcomes(sql)[[None not in row for row in ROWS]]
    assert possible or not (came_out == 1).any()
    assert failing or (came_out == 1).all()


@pytest.mark.parametrize(
    "sql",
    [
        "a > 2 AND a < 1",
        "a = 1 AND a = 2",
        "s = 'x' AND s = 'y'",
        "s IN ('x', 'y') AND s NOT IN ('x', 'y')",
        "p AND NOT p",
        "a IS NULL AND a > 1",
        "a < b AND b < a",
        "a > b AND NOT b < a",
        "p = 2",
        "a = NULL",
        "a + b > 3 AND b + a < 2",
        "(a > 2 OR s = 'x') AND a < 1 AND s = 'y'",
        "s LIKE 'x%' AND NOT s LIKE 'x%'",
    ],
)
def test_contradictions_are_seen(sql):
    assert not can_be_true(read(sql).root)


@pytest.mark.parametrize("sql", ["a IS NULL OR a > 1 OR a <= 1", "1 = 1", "(a > 1) IS TRUE OR NOT ((a > 1) IS TRUE)"])
def test_what_is_always_true_is_seen(sql):
    assert not can_fail(read(sql).root)


def test_null_makes_the_difference():
    condition = read("a > 1 OR a <= 1").root
    assert can_fail(condition)
    assert not can_fail(condition, known={"a"})
    assert not can_fail(condition, known=None)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("a >= 2", "a > 1"),
        ("a = 2", "a IN (1, 2, 3)"),
        ("a > 1 AND p", "a > 0"),
        ("a BETWEEN 1 AND 2", "NOT (a > 3)"),
        ("a < b", "b >= a"),
        ("p = 1", "p"),
        ("s = 'x'", "s <> 'y'"),
        ("NOT (a > 2 OR p)", "a <= 2"),
    ],
)
def test_wider_conditions_are_seen(narrow, wide):
    assert implies(read(narrow).root, read(wide).root)
    assert not implies(read(wide).root, read(narrow).root) or narrow == "p = 1"


def test_what_has_too_many_cases_is_said_to_be_unknown():
    sql = " AND ".join(f"(a > {k} OR b > {k + 0.5} OR a = b + {k})" for k in range(12))
    with pytest.raises(TooMany):
        can_be_true(read(sql).root)
