"""Translations of random expressions, executed by a real PostgreSQL, against the machine's values."""

from datetime import datetime

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.expressions.naive import SCOPE, B, N, S, agree, expressions, row, run

TYPES = {N: "DOUBLE PRECISION", B: "BOOLEAN", S: "TEXT"}


def literal(value, kind):
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"'{value.isoformat()}'::timestamptz" if isinstance(value, datetime) else f"{value}::{TYPES[kind]}"


def query(sql, rows):
    columns = ", ".join(f'"{name}"' for name in SCOPE)
    values = ", ".join(
        f"({at}, {', '.join(literal(r[name], kind) for name, kind in SCOPE.items())})" for at, r in enumerate(rows)
    )
    cast = ", ".join(f'"{name}"::{TYPES.get(kind, "timestamptz")}' for name, kind in SCOPE.items())
    table = f"SELECT at, {cast} FROM (VALUES {values}) AS v (at, {columns})"
    return f"SELECT json_agg({sql} ORDER BY at) FROM ({table} OFFSET 0) AS t"  # OFFSET keeps rows from being folded


def test_postgres_gives_the_machine_s_values(postgres_url):
    with psycopg.connect(postgres_url, options="-c timezone=America/New_York", autocommit=True) as connection:

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(expressions, st.lists(row, min_size=1, max_size=6))
        def compare(term, rows):
            sql, _, kind = term
            expression, values = run(sql, kind, rows)
            asked = query(expression.to_sql("postgres"), rows)
            (answer,) = connection.execute(asked).fetchone()
            assert all(map(agree, values, answer)), (asked, values, answer)

        compare()
