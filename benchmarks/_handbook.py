"""The Handbook's transactions with twelve window features: recorded where the file is there, else simulated alike."""

import os
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from penstock import Detector, Entity, Label

DAYS = (1, 7, 30)


class Transaction(msgspec.Struct):
    """The Handbook's columns."""

    TRANSACTION_ID: str
    TX_DATETIME: datetime
    CUSTOMER_ID: str
    TERMINAL_ID: str
    TX_AMOUNT: float
    TX_FRAUD: int | None = None


customer, terminal = Entity("CUSTOMER_ID"), Entity("TERMINAL_ID")
detector = Detector(
    "handbook",
    event=Transaction,
    id="TRANSACTION_ID",
    time="TX_DATETIME",
    label=Label("TX_FRAUD", delay="7d"),
    naive_times="UTC",
    features=[
        feature
        for days in DAYS
        for feature in (
            customer.count(f"{days}d"),
            customer.mean("TX_AMOUNT", f"{days}d"),
            terminal.count(f"{days}d", delay="7d"),
            terminal.label_rate(f"{days}d", delay="7d"),
        )
    ],
)


def transactions() -> pl.DataFrame:
    """1.75 million transactions of 4,990 customers at 10,000 terminals in half a year."""
    folder = Path(os.environ.get("PENSTOCK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    recorded = folder / "handbook_transactions.parquet"
    names = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
    return pl.read_parquet(recorded, columns=names) if recorded.exists() else _simulated(1_754_155)


def _simulated(n: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    seconds = np.sort(rng.integers(0, 183 * 86_400, n))
    return pl.DataFrame(
        {
            "TRANSACTION_ID": np.arange(n, dtype=np.int32),
            "TX_DATETIME": pl.Series(1_522_540_800_000 + 1000 * seconds).cast(pl.Datetime("ms")),
            "CUSTOMER_ID": rng.integers(0, 4_990, n).astype(np.int16),
            "TERMINAL_ID": rng.integers(0, 10_000, n).astype(np.int16),
            "TX_AMOUNT": np.round(rng.lognormal(3.6, 0.8, n), 2),
            "TX_FRAUD": (rng.random(n) < 0.008).astype(np.int8),
        }
    )
