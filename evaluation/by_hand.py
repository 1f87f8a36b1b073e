"""One command beside an hour by hand: python evaluation/by_hand.py [--recorded DIR] [SET...] [--quick] [--json].

By hand: 98 features of one level with polars (windows with and without the payment itself, statistics ever of payer, other
party, category and payer in category in logarithms, z-scores, last values, fraud rates that were known), LightGBM with early
stopping. One command: `penstock init FILE`, as a user calls it. Both see the raw columns of one file, and are judged by
average precision on the same later days.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import polars as pl
from _table import say, table

from penstock.models.metrics import average_precision
from penstock.offline.simulate import simulate
from penstock.wiring.traffic.events import profile_of

RECORDED = os.environ.get("PENSTOCK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
EVENTS, DAYS, DELAY = 360_000, 90, timedelta(days=7)
WINDOWS = ("1h", "1d", "7d", "30d")


class Raw(NamedTuple):
    """A raw file: its rows, and the columns that an analyst would take for time, payer, other party, category and label."""

    frame: pl.DataFrame
    time: str
    payer: str
    other: str
    category: str | None
    label: str
    amount: str = "amount"


def handbook(folder: Path, *, quick: bool) -> Raw:
    """The Handbook's transactions as they are published, without the days and seconds that repeat the time."""
    frame = pl.read_parquet(folder / "handbook_transactions.parquet")
    frame = frame.select("TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD")
    if quick:
        frame = frame.filter(pl.col("TX_DATETIME") < pl.datetime(2018, 6, 1))
    return Raw(frame, "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", None, "TX_FRAUD", "TX_AMOUNT")


def card(_folder: Path, *, quick: bool) -> Raw:
    """Simulated card payments."""
    return Raw(_simulated("card", quick=quick), "timestamp", "card", "merchant", "category", "is_fraud")


def mobile_money(_folder: Path, *, quick: bool) -> Raw:
    """Simulated mobile money."""
    return Raw(_simulated("mobile_money", quick=quick), "timestamp", "nameOrig", "nameDest", "type", "isFraud")


def _simulated(name: str, *, quick: bool) -> pl.DataFrame:
    frame = simulate(profile_of(name), events=EVENTS // (6 if quick else 1), seed=1, days=DAYS)
    return frame.drop("attack", "arrived_at", "label_known_at", strict=False)


SETS = {"handbook": handbook, "card": card, "mobile_money": mobile_money}

# ---------------------------------------------------------------- by hand


def features(raw: Raw) -> pl.DataFrame:
    """98 features where there is a category; fewer without."""
    frame = raw.frame.with_row_index("at").sort(raw.time, "at")
    keys = {"payer": [raw.payer], "other": [raw.other], "pair": [raw.payer, raw.other]}
    if raw.category:
        keys |= {"category": [raw.category], "payer_category": [raw.payer, raw.category]}
    amount, log = pl.col(raw.amount), (pl.col(raw.amount) + 1).log()
    frame = frame.with_columns(log.alias("log"), pl.col(raw.label).cast(pl.Float64).alias("y"))
    made = [frame.select("at", amount.alias("amount"), pl.col(raw.time).dt.hour().alias("hour"), "log")]
    made[0] = made[0].with_columns(frame[raw.time].dt.weekday().alias("weekday"))
    for name, key in keys.items():
        windows = WINDOWS if name in ("payer", "other") else ("1d", "30d")
        made += [_window(frame, raw, name, key, window) for window in windows]
        made.append(_ever(frame, raw, name, key))
    made += [_known_frauds(frame, raw, name, keys[name], days) for name in ("payer", "other") for days in (7, 30)]
    return pl.concat([each if at == 0 else each.drop("at") for at, each in enumerate(made)], how="horizontal")


def _window(frame: pl.DataFrame, raw: Raw, name: str, key: list[str], window: str) -> pl.DataFrame:
    """Count, sum and mean within a window, with and without the payment itself."""
    rolled = frame.rolling(raw.time, period=window, group_by=key).agg(
        pl.col("at").last().alias("last"), pl.len().alias("n"), pl.col(raw.amount).sum().alias("s")
    )
    rolled = _in_order(frame, raw, key, rolled)
    paid, count, total = frame[raw.amount], rolled["n"], rolled["s"]
    before = pl.DataFrame({"n": count - 1, "s": total - paid}).select(pl.col("s") / pl.col("n")).to_series()
    columns = {"count": count, "sum": total, "mean_before": before, "to_mean": paid / before}
    return pl.DataFrame({"at": frame["at"], **{f"{name}_{what}_{window}": values for what, values in columns.items()}})


def _in_order(frame: pl.DataFrame, raw: Raw, key: list[str], rolled: pl.DataFrame) -> pl.DataFrame:
    """Rolled rows stand by key and time, as the frame does when it is sorted so; back into the frame's order."""
    place = frame.select("at", *key, raw.time).with_row_index("place").sort([*key, raw.time, "place"], maintain_order=True)
    rolled = rolled.sort([*key, raw.time], maintain_order=True)
    return rolled.with_columns(place["place"]).sort("place")


def _ever(frame: pl.DataFrame, raw: Raw, name: str, key: list[str]) -> pl.DataFrame:
    """Statistics over all earlier payments, z-scores, the last value and the time since."""
    seen = pl.int_range(pl.len()).over(key)
    total, squares = (expr.cum_sum().over(key) - expr for expr in (pl.col("log"), pl.col("log") ** 2))
    mean = total / seen
    std = ((squares - seen * mean**2).clip(0) / (seen - 1)).sqrt()
    columns = {
        "count": seen,
        "mean_log": mean,
        "std_log": std,
        "z": (pl.col("log") - mean) / std,
        "max": pl.col(raw.amount).cum_max().over(key).shift(1).over(key),
        "last": pl.col(raw.amount).shift(1).over(key),
        "since": (pl.col(raw.time) - pl.col(raw.time).shift(1).over(key)).dt.total_seconds(),
        "first": (pl.col(raw.time) - pl.col(raw.time).first().over(key)).dt.total_seconds(),
        "change": pl.col("log") - pl.col("log").shift(1).over(key),
    }
    return frame.select("at", *(values.alias(f"{name}_{what}_ever") for what, values in columns.items()))


def _known_frauds(frame: pl.DataFrame, raw: Raw, name: str, key: list[str], days: int) -> pl.DataFrame:
    """The share of frauds in a window that ended a week before."""
    rolled = frame.rolling(raw.time, period=f"{days}d", offset=f"-{days + 7}d", group_by=key).agg(
        pl.col("y").mean().alias("rate")
    )
    rolled = _in_order(frame, raw, key, rolled)
    return pl.DataFrame({"at": frame["at"], f"{name}_fraud_rate_{days}d": rolled["rate"]})


def by_hand(raw: Raw, begin: Any) -> dict[str, Any]:
    """LightGBM on these features, stopped early on the last fifth of what was known, judged from `begin` on."""
    began = time.process_time()
    made = features(raw)
    frame = raw.frame.with_row_index("at").sort(raw.time, "at")
    category = [] if raw.category is None else [frame[raw.category].cast(pl.Categorical).to_physical().alias("category")]
    others = [
        frame[name].cast(pl.Float64).alias(f"raw_{name}")
        for name, kind in raw.frame.schema.items()
        if kind.is_numeric() and name not in (raw.label, raw.amount, raw.payer, raw.other, "TRANSACTION_ID")
    ]
    x = made.drop("at").with_columns(*category, *others).to_numpy().astype(np.float32)
    y = frame[raw.label].cast(pl.Float64).fill_null(0.0).to_numpy()
    known = (frame[raw.time] < begin - DELAY).to_numpy()
    test = (frame[raw.time] >= begin).to_numpy()
    fit, stop = np.split(np.flatnonzero(known), [int(0.8 * known.sum())])
    data = lightgbm.Dataset(x[fit], y[fit], free_raw_data=False)
    held = lightgbm.Dataset(x[stop], y[stop], reference=data, free_raw_data=False)
    booster = lightgbm.train(
        _PARAMETERS, data, 3_000, valid_sets=[held], callbacks=[lightgbm.early_stopping(100, verbose=False)]
    )
    scores = np.asarray(booster.predict(x[test]))
    found = {"features": x.shape[1], "trees": booster.best_iteration, "by_hand": average_precision(scores, y[test])}
    return {**found, "frauds": int(y[test].sum()), "by_hand_cpu_s": time.process_time() - began}


_PARAMETERS = {
    "objective": "binary",
    "metric": "average_precision",
    "learning_rate": 0.03,
    "num_leaves": 63,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "num_threads": 2,
    "seed": 1,
    "verbosity": -1,
}

# ---------------------------------------------------------------- one command


def one_command(raw: Raw, folder: Path) -> dict[str, Any]:
    """`penstock init` on the raw file; its report says where the test begins."""
    path = folder / "raw.parquet"
    raw.frame.write_parquet(path)
    command = [sys.executable, "-m", "penstock.cli", "init", str(path), "--out", str(folder / "mine.py"), "--yes", "--json"]
    began, before = time.monotonic(), os.times()
    done = subprocess.run([*command, "--models", str(folder / "models")], stdout=subprocess.PIPE, check=True)
    after, report = os.times(), json.loads(done.stdout)["training"]
    return {
        "one_command": report["test"]["average_precision"],
        "members": {name: each["average_precision"] for name, each in report["members"].items()},
        "minutes": (time.monotonic() - began) / 60,
        "cpu_minutes": (after.children_user + after.children_system - before.children_user - before.children_system) / 60,
        "test_from": report["periods"]["test"][0],
        "inputs": report["features"],
    }


def evaluated(name: str, folder: Path, *, quick: bool) -> dict[str, Any]:
    """Both on one set."""
    raw = SETS[name](folder, quick=quick)
    with tempfile.TemporaryDirectory() as place:
        found = one_command(raw, Path(place))
    say(f"{name}: one command {found['one_command']:.4f} after {found['minutes']:.1f} minutes")
    begin = pl.Series([found["test_from"]]).str.to_datetime(time_zone="UTC")
    own = raw.frame.schema[raw.time]
    hand = by_hand(raw, begin.dt.replace_time_zone(getattr(own, "time_zone", None))[0])
    say(f"{name}: by hand {hand['by_hand']:.4f}")
    return {**found, **hand}


COLUMNS = {
    "one_command": "`penstock init`",
    "by_hand": "by hand",
    "frauds": "frauds of the test",
    "minutes": "minutes",
    "cpu_minutes": "of processor time",
    "inputs": "inputs",
    "features": "features by hand",
    "trees": "trees by hand",
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(SETS))
    parser.add_argument("--recorded", type=Path, default=Path(RECORDED), help="folder of the recorded files")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    results = {each: evaluated(each, given.recorded, quick=given.quick) for each in given.names}
    text = json.dumps(results, indent=1) if given.json else table("average precision on later days", results, COLUMNS)
    sys.stdout.write(text + "\n")
