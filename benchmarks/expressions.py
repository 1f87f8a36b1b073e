"""Twenty conditions and derived features in one program: the machine, beside DuckDB executing their translations.

One row and a batch of 256 are what live events pay; 100,000 rows are what a replay or a backtest pays, and what DuckDB
(one thread) is made for. How long a new rule takes from text to running is measured too, and LIKE: on names of merchants beside
Python's `re`, and on texts written to take long, where a regular expression takes hours.
"""

import re

import duckdb
import numpy as np
from _report import Row, best_of, main

from penstock.codes import text_codes
from penstock.expressions import assemble, parse
from penstock.expressions.texts import like
from penstock.messages import Batch, Layout, Type

N, T, S = Type.NUMBER, Type.TIME, Type.TEXT
FIELDS = dict.fromkeys(["amount", "usual", "mean", "std", "count", "lat", "lon", "lat0", "lon0", "since"], N) | {
    "timestamp": T,
    "merchant": S,
    "country": S,
    "home": S,
}
DECLARED = {
    "ratio": "amount / usual",
    "is_night": "hour(timestamp) < 6",
    "day_of_week": "weekday(timestamp)",
    "weekend": "is_weekend(timestamp)",
    "z": "(amount - mean) / std",
    "km": "distance_km(lat, lon, lat0, lon0)",
    "speed": "km / since * 3600",
    "abroad": "country <> home",
    "log_amount": "ln(amount + 1)",
    "is_round": "amount % 100 = 0",
    "amount_spike": "ratio > 3",
    "night_high_value": "is_night AND amount > 2000",
    "fast": "count >= 4",
    "impossible_travel": "speed > 900 AND km > 100",
    "odd": "z > 4 AND count > 2",
    "risky": "merchant IN ('Crypto', 'Casino', 'Gift') AND amount > 500",
    "far_from_home": "abroad AND amount > usual * 2",
    "weekend_night": "weekend AND is_night AND amount BETWEEN 500 AND 5000",
    "newcomer": "since IS NULL AND amount > 1000",
    "either": "(ratio > 2 OR z > 3) AND NOT weekend",
}


def declare():
    layout = Layout()
    for name, kind in FIELDS.items():
        layout.add(name, kind)
    items = []
    for name, sql in DECLARED.items():
        expression = parse(sql, {column: c.type for column, c in layout.items()}, place=f"feature {name!r}")
        layout.add(name, expression.type)
        items.append((expression, name))
    return items, assemble(items, layout), layout


def batch_of(layout, n):
    rng = np.random.default_rng(7)
    x = np.full((n, layout.width), np.nan)
    x[:, :10] = np.where(rng.random((n, 10)) < 0.02, np.nan, rng.random((n, 10)) * 80)
    x[:, layout["timestamp"].index] = 1.75e15 + rng.integers(0, 10**13, n)
    choices = ["Crypto", "Grocery", "Amazon", "DE", "FR", None]
    texts = {name: [choices[i] for i in rng.integers(0, len(choices), n)] for name, kind in FIELDS.items() if kind is S}
    codes = np.column_stack([text_codes(column) for column in texts.values()])
    return Batch([""] * n, np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int64), x, codes, texts)


def in_duckdb(items, layout, batch):
    """A call that computes the same columns from the same rows, held in a table of DuckDB's own."""
    connection = duckdb.connect(config={"threads": 1})
    columns = {name: batch.x[:, layout[name].index] for name, kind in FIELDS.items() if kind is not S}
    columns |= {name: np.array(batch.texts[name], object) for name, kind in FIELDS.items() if kind is S}
    clean = ", ".join(
        f"make_timestamp(CAST({name} AS BIGINT)) AS {name}" if kind is T
        else f"{name} AS {name}" if kind is S
        else f'CASE WHEN isnan("{name}") THEN NULL ELSE "{name}" END AS "{name}"'
        for name, kind in FIELDS.items()
    )  # fmt: skip
    connection.execute(f"CREATE TABLE events AS SELECT {clean} FROM columns")
    query = "SELECT *, " + ", ".join(f'{e.to_sql("duckdb")} AS "{name}"' for e, name in items) + " FROM events"

    def call():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE computed AS {query}")

    call()
    fired = connection.execute(
        "SELECT count(*) FILTER (night_high_value OR either OR impossible_travel) FROM computed"
    ).fetchone()
    return call, fired[0]


NAMES = [
    "Crypto Exchange Ltd",
    "Grocery Market 17",
    "Amazon EU S.a.r.l.",
    "M\u00fcller & S\u00f6hne",
    "Coinbase",
    "Book shop",
] * 500
BENIGN = ["Crypto%", "%Market%", "%Crypto%Exchange%", "%Ltd", "Amazon", "Book_shop"]
HOSTILE = [
    ("%crypto%exchange%", "crypto "),
    ("%a" * 12 + "%b%", "a"),
    ("%a_a_a%" * 6 + "b%", "a"),
    ("%" + "a" * 100 + "_b%", "a"),
    ("%" + "a" * 200 + "b" + "a" * 200 + "%", "a"),
]


def in_regex():
    """A call that matches the same patterns as regular expressions."""
    patterns = [re.compile(re.escape(each).replace("%", ".*").replace("_", "."), re.DOTALL) for each in BENIGN]
    assert [p.fullmatch(n) is not None for p in patterns for n in NAMES] == [like(n, p) for p in BENIGN for n in NAMES]

    def call():
        for pattern in patterns:
            for name in NAMES:
                pattern.fullmatch(name)

    return call


def like_rows(repeats: int) -> list[Row]:
    def ours():
        for pattern in BENIGN:
            for name in NAMES:
                like(name, pattern)

    def slowest(length: int) -> float:
        return max(best_of(3, lambda t=(unit * length)[:length], p=pattern: like(t, p)) for pattern, unit in HOSTILE)

    matches = len(BENIGN) * len(NAMES)
    rate, regex = matches / best_of(repeats, ours), matches / best_of(repeats, in_regex())
    return [
        Row.faster("LIKE on names", rate, "matches/s", "re, compiled before", regex),
        Row.at_most("LIKE, the slowest of five hostile patterns on 8 KB", slowest(8192) * 1e3, "ms", 5),
        Row.at_most("LIKE, the same on 1 MB", slowest(1 << 20) * 1e3, "ms", 250),
    ]


def run(quick: bool) -> list[Row]:
    repeats = 5 if quick else 20
    items, program, layout = declare()
    one, some, many = (batch_of(layout, n) for n in (1, 256, 100_000))
    for batch in (one, some, many):
        program.run(batch)
    call, fired = in_duckdb(items, layout, many)
    watched = [layout[name].index for name in ("night_high_value", "either", "impossible_travel")]
    assert fired == int((many.x[:, watched] == 1.0).any(axis=1).sum()), "DuckDB and the machine disagree"
    single = best_of(repeats, lambda: [program.run(one) for _ in range(1000)]) / 1000
    batched = best_of(repeats, lambda: [program.run(some) for _ in range(50)]) / 50
    ours, theirs = best_of(repeats, lambda: program.run(many)), best_of(repeats, call)
    new_rule = best_of(repeats, lambda: assemble([(parse("amount > 9 AND is_night", scope, place="rule"), "fast")], layout))
    return [
        Row.at_most("20 expressions, one row", single * 1e6, "us", 10),
        Row.at_most("an instruction and row, batches of 256", batched / 256 / program.instructions * 1e9, "ns", 15),
        Row.faster("20 expressions, 100,000 rows", 1e5 / ours, "rows/s", "DuckDB, one thread", 1e5 / theirs),
        Row.at_most("a new rule, from text to running", new_rule * 1e3, "ms", 1),
        *like_rows(repeats),
    ]


scope = dict(FIELDS) | {"is_night": Type.BOOLEAN}

if __name__ == "__main__":
    main(run)
