"""Every feature of the ecommerce detector over the public Fraud_Data file, beside a dictionary per device.

The oracle is as plain as can be: events in order of (time, row), a list of what happened before for each device.
"""

import bisect
import csv
import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from penstock import replay
from penstock.detectors.ecommerce import declare

pytestmark = pytest.mark.data

DELAY_S = 7 * 86400


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def rows(recorded):
    """The file's rows in order of (time, row), numbered as they stand there."""
    with (recorded / "Fraud_Data.csv").open(newline="") as file:
        rows = [{**row, "row": number} for number, row in enumerate(csv.DictReader(file))]
    for row in rows:
        row["t"], row["signup"] = seconds(row["purchase_time"]), seconds(row["signup_time"])
        row["value"] = float(row["purchase_value"])
        row["ip"] = float(row["ip_address"]) if row["ip_address"] else None
    return sorted(rows, key=lambda row: (row["t"], row["row"]))


@pytest.fixture(scope="module")
def replayed(recorded):
    """The same file through the detector, without models, one row per event in arrival order."""
    return replay(declare(recorded), recorded / "Fraud_Data.csv")


def consistent(known: set, this: object) -> bool:
    return not known or known == {this}


def expected(rows: list[dict]) -> list[dict]:
    """What each event's features must be."""
    devices, found = defaultdict(list), []
    for row in rows:
        before = devices[row["device_id"]]
        mature = [other for other in before if other["t"] <= row["t"] - DELAY_S]
        mean = sum(other["value"] for other in before) / len(before) if before else row["value"]
        found.append(
            {
                "txn_count": len(before) + 1,
                "device_ip_consistency": consistent({o["ip"] for o in before if o["ip"] is not None}, row["ip"]),
                "device_source_consistency": consistent({o["source"] for o in before}, row["source"]),
                "time_setup_to_txn_seconds": row["t"] - row["signup"],
                "time_since_last_device_txn": row["t"] - before[-1]["t"] if before else None,
                "purchase_deviation_from_device_mean": abs(row["value"] - mean),
                "device_lifespan": row["t"] - before[0]["t"] if before else 0.0,
                "device_fraud_rate": sum(o["class"] == "1" for o in mature) / len(mature) if mature else 0.0,
                "device_users": len({o["user_id"] for o in [*before, row]}),
                "hour_of_day": datetime.fromtimestamp(row["t"], UTC).hour,
                "is_male": row["sex"] == "M",
                "uses_chrome": row["browser"] == "Chrome",
                "from_search": row["source"] == "SEO",
            }
        )
        before.append(row)
    return found


def ip_users_24h(rows: list[dict]) -> list[int | None]:
    addresses, found = defaultdict(list), []
    for row in rows:
        if row["ip"] is None:
            found.append(None)
            continue
        seen = addresses[row["ip"]]
        seen.append(row)
        found.append(len({o["user_id"] for o in seen if o["t"] > row["t"] - 86400}))
    return found


def test_all_rows_are_decided_in_order_of_time_and_row(rows, replayed):
    assert replayed["transaction_id"].to_list() == [f"Fraud_Data-{row['row']}" for row in rows]


def test_device_features_are_those_of_a_dictionary_per_device(rows, replayed):
    columns = defaultdict(list)
    for event in expected(rows):
        for name, value in event.items():
            columns[name].append(value)
    for name, values in columns.items():
        compare(name, values, replayed[name].to_list())


def test_users_of_an_address_are_counted_where_there_is_one(rows, replayed):
    compare("ip_users_24h", ip_users_24h(rows), replayed["ip_users_24h"].to_list())


def test_the_country_is_that_of_the_last_range_that_holds_the_address(rows, replayed, recorded):
    """Nine of the file's ranges have a rounded beginning and overlap others."""
    ranges = pl.read_csv(recorded / "IpAddress_to_Country.csv").sort("lower_bound_ip_address")
    lower, upper, country = (column.to_numpy() for column in ranges.iter_columns())
    overlapping = np.flatnonzero(lower[1:] <= upper[:-1])
    wanted = []
    for row in rows:
        ip = -1 if row["ip"] is None else int(row["ip"])
        at = bisect.bisect_right(lower, ip) - 1
        holding = [i for i in {max(at, 0), *overlapping} if lower[i] <= ip <= upper[i]]
        wanted.append(country[max(holding)] if holding else None)
    wrong = [(row["ip_address"], a, b) for row, a, b in zip(rows, wanted, replayed["country"], strict=True) if a != b]
    assert wrong == []
    assert replayed["country"].null_count() < 0.6 * len(rows)


def test_the_gross_domestic_product_is_that_of_country_and_year(replayed, recorded):
    table = pl.read_csv(recorded / "gdp_usd.csv")
    gdp = {(country, year): value for country, year, value in table.iter_rows()}
    wanted = [
        gdp.get((country, time.year)) for country, time in zip(replayed["country"], replayed["purchase_time"], strict=True)
    ]
    compare("gdp_usd_millions", wanted, replayed["gdp_usd_millions"].to_list())
    assert replayed["gdp_usd_millions"].is_not_null().mean() > 0.3


def test_without_lookup_files_country_is_null_and_everything_else_is_the_same(recorded, replayed):
    head = pl.read_csv(recorded / "Fraud_Data.csv", infer_schema=False, n_rows=2000)
    with_files, without = replay(declare(recorded), head), replay(declare(None), head)
    assert without["country"].null_count() == 2000
    same = [name for name in without.columns if "country" not in name and "gdp" not in name]
    assert with_files.select(same).equals(without.select(same))


def compare(name: str, wanted: list, got: list) -> None:
    """Nulls where nulls are, numbers within the rounding of a quotient."""
    wrong = [
        (row, a, b)
        for row, (a, b) in enumerate(zip(wanted, got, strict=True))
        if (a is None) != (b is None) or (a is not None and not math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9))
    ]
    assert not wrong, f"{name}: {len(wrong)} differ, first {wrong[:3]}"


def test_the_recorded_times_are_read_as_utc(rows, replayed):
    assert replayed["purchase_time"][0] == datetime.fromisoformat(rows[0]["purchase_time"]).replace(tzinfo=UTC)
    assert replayed["purchase_time"][-1] - replayed["purchase_time"][0] > timedelta(days=300)
