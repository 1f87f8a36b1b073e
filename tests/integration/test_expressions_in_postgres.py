"""Translations of random expressions, executed by a real PostgreSQL, against the machine's values."""

import json
import os
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.expressions.naive import SCOPE, B, N, S, agree, expressions, row, run

TYPES = {N: "DOUBLE PRECISION", B: "BOOLEAN", S: "TEXT"}


@pytest.fixture(scope="module")
def postgres():
    """Run a script in a server of its own, give the values of every query as a list."""
    if not all(map(shutil.which, ("initdb", "pg_ctl", "psql"))):
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp())  # not below pytest's own folder, which other users may not enter
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")
    data, log = folder / "data", folder / "log"

    def call(*command, text=None):
        done = subprocess.run(
            [*as_user, *map(str, command)], input=text, capture_output=True, text=True, check=False, cwd=folder
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("initdb", "--pgdata", data, "--auth", "trust", "--encoding", "UTF8", "--no-sync")
    call(
        "pg_ctl",
        "--pgdata",
        data,
        "--log",
        log,
        "-w",
        "-o",
        f"-k {folder} -c listen_addresses= -c timezone=America/New_York",
        "start",
    )
    try:
        yield lambda script: call("psql", "-h", folder, "-d", "postgres", "-qAt", "-v", "ON_ERROR_STOP=1", text=script)
    finally:
        call("pg_ctl", "--pgdata", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


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
    return f"SELECT json_agg({sql} ORDER BY at) FROM ({table} OFFSET 0) AS t;\n"  # OFFSET keeps rows from being folded


def test_postgres_gives_the_machine_s_values(postgres):
    cases = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(expressions, st.lists(row, min_size=1, max_size=6))
    def collect(term, rows):
        sql, _, kind = term
        expression, values = run(sql, kind, rows)
        cases.append((query(expression.to_sql("postgres"), rows), values))

    collect()
    answers = postgres("".join(script for script, _ in cases)).splitlines()
    assert len(answers) == len(cases)
    for answer, (script, values) in zip(answers, cases, strict=True):
        assert all(map(agree, values, json.loads(answer))), (script, values, answer)
