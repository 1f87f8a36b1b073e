"""The Handbook's own features, April to June 2018, as an oracle for windows, means and delayed risk.

The book takes rows up to the current position among equal times, in the order of its file. Ten rows of the full set
are not in the order of their ids among equal times (`test_the_book_differs_only_among_ties` shows which); everywhere
else counts are equal, and averages and risks equal within the book's float32.
"""

from datetime import datetime

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Entity, Label, derive, replay

pytestmark = pytest.mark.data


class Transaction(msgspec.Struct):
    """The Handbook's columns."""

    TRANSACTION_ID: str
    TX_DATETIME: datetime
    CUSTOMER_ID: str
    TERMINAL_ID: str
    TX_AMOUNT: float
    TX_FRAUD: int | None = None


customer, terminal = Entity("CUSTOMER_ID"), Entity("TERMINAL_ID")
COUNTS = {
    "CUSTOMER_ID_NB_TX_{}DAY_WINDOW": customer.count,
    "TERMINAL_ID_NB_TX_{}DAY_WINDOW": lambda w: terminal.count(w, delay="7d"),
}
SHARES = {
    "CUSTOMER_ID_AVG_AMOUNT_{}DAY_WINDOW": lambda w: customer.mean("TX_AMOUNT", w),
    "TERMINAL_ID_RISK_{}DAY_WINDOW": lambda w: terminal.label_rate(w, delay="7d"),
}
features = [make(f"{days}d").named(name.format(days)) for days in (1, 7, 30) for name, make in {**COUNTS, **SHARES}.items()]
detector = Detector(
    "handbook",
    event=Transaction,
    id="TRANSACTION_ID",
    time="TX_DATETIME",
    label=Label("TX_FRAUD", delay="7d"),
    naive_times="UTC",
    features=[
        *features,
        derive("TX_DURING_WEEKEND", "is_weekend(TX_DATETIME)"),
        derive("TX_DURING_NIGHT", "hour(TX_DATETIME) <= 6"),
    ],
)


@pytest.fixture(scope="module")
def both(recorded):
    """Our features and the book's, row by row, in order of (time, id)."""
    book = pl.read_parquet(recorded / "handbook_features_2018Q2.parquet")
    events = pl.read_parquet(recorded / "handbook_transactions.parquet").filter(pl.col("TX_DATETIME") < pl.datetime(2018, 7, 1))
    events = events.sort("TX_DATETIME", "TRANSACTION_ID")
    ours = replay(detector, events).with_columns(pl.col("TRANSACTION_ID").cast(pl.Int32))
    return ours.join(book, on="TRANSACTION_ID", suffix=":book", maintain_order="left")


def differing(both: pl.DataFrame, name: str) -> np.ndarray:
    """Rows in which we and the book disagree by more than float32 can tell."""
    ours, book = both[name].cast(pl.Float64).to_numpy(), both[f"{name}:book"].cast(pl.Float64).to_numpy()
    return np.flatnonzero(~np.isclose(ours, book, rtol=2e-7, atol=2e-7))


NAMES = [f.name for f in features]


@pytest.mark.parametrize("name", [*NAMES, "TX_DURING_WEEKEND", "TX_DURING_NIGHT"])
def test_every_feature_equals_the_books(both, name) -> None:
    """Counts are equal; averages and risks are equal within float32; ties aside."""
    ties = _tied(both)
    assert both.height == 872_795
    assert set(differing(both, name)) <= ties


def test_the_book_differs_only_among_ties(both) -> None:
    """Every row in which anything differs shares its second with another of the same customer or terminal."""
    rows = {int(row) for name in NAMES for row in differing(both, name)}
    assert len(rows) <= 10
    assert rows <= _tied(both)


def _tied(both: pl.DataFrame) -> set[int]:
    """Rows that share a second with another row of the same customer, or (7 or more days on) of the same terminal."""
    at = both.select("TX_DATETIME").with_row_index("row").with_columns(n=pl.len().over("TX_DATETIME"))
    return set(at.filter(pl.col("n") > 1)["row"].to_list())
