"""The machine against a naive evaluator, and against DuckDB executing the translation, on random expressions and rows."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.expressions.naive import SCOPE, B, N, S, agree, expressions, row, run

from penstock.expressions import constant_of, parse


@settings(max_examples=120, deadline=None)
@given(expressions, st.lists(row, min_size=1, max_size=6))
def test_the_machine_agrees_with_a_naive_three_valued_evaluator(term, rows):
    sql, evaluate, kind = term
    _, values = run(sql, kind, rows)
    wanted = [evaluate(r) for r in rows]
    assert all(map(agree, values, wanted)), (sql, rows, values, wanted)


@settings(max_examples=120, deadline=None)
@given(expressions, st.lists(row, min_size=1, max_size=3))
def test_canonical_text_reads_back_as_the_same_expression(term, rows):
    sql, _, kind = term
    expression, values = run(sql, kind, rows)
    again, same = run(expression.sql, kind, rows)
    assert again.sql == expression.sql
    assert all(map(agree, values, same))


@settings(max_examples=120, deadline=None)
@given(expressions, st.lists(row, min_size=1, max_size=6))
def test_what_is_called_constant_is_the_same_for_every_row(term, rows):
    sql, evaluate, kind = term
    constant = constant_of(parse(sql, SCOPE, place="test", expect=kind))
    if constant is not None:
        assert all(agree(constant.value, evaluate(r)) for r in rows)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'America/New_York'")  # a session's zone must not matter
        types = {N: "DOUBLE", B: "BOOLEAN", S: "VARCHAR"}
        columns = [f"{name} {types.get(kind, 'TIMESTAMP' if name == 't' else 'TIMESTAMPTZ')}" for name, kind in SCOPE.items()]
        con.execute(f"CREATE TABLE rows ({', '.join(columns)})")
        yield con


@settings(max_examples=120, deadline=None)
@given(expressions, st.lists(row, min_size=1, max_size=6))
def test_the_translation_executed_by_duckdb_gives_the_machine_s_values(connection, term, rows):
    sql, _, kind = term
    expression, values = run(sql, kind, rows)
    connection.execute("DELETE FROM rows")
    plain = [[v.replace(tzinfo=None) if name == "t" and v else v for name, v in r.items()] for r in rows]
    ordered = [dict(zip(r, p, strict=True)) for r, p in zip(rows, plain, strict=True)]
    connection.executemany(
        f"INSERT INTO rows VALUES ({', '.join('?' * len(SCOPE))})", [[r[name] for name in SCOPE] for r in ordered]
    )
    found = [v for (v,) in connection.execute(f"SELECT {expression.to_sql('duckdb')} FROM rows ORDER BY rowid").fetchall()]
    assert all(map(agree, values, found)), (expression.to_sql("duckdb"), rows, values, found)
