"""Reader of the public PaySim file: hours instead of times, no ids, and balances before and after each movement."""

from datetime import UTC, datetime

import polars as pl

START = datetime(2020, 1, 1, tzinfo=UTC)
"""The instant of step 0, where a movement says in which hour it happened instead of when."""


_SPELLINGS = {
    name.lower(): name
    for name in (
        "transaction_id",
        "timestamp",
        "step",
        "type",
        "amount",
        "nameOrig",
        "oldbalanceOrg",
        "newbalanceOrig",
        "nameDest",
        "oldbalanceDest",
        "newbalanceDest",
        "isFraud",
        "isFlaggedFraud",
    )
} | {"oldbalanceorig": "oldbalanceOrg", "newbalanceorg": "newbalanceOrig", "action": "type"}


def adapt(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with the event's spellings, and with a time made of the step where it is missing.

    >>> adapt(pl.DataFrame({"step": [1], "nameorig": ["C1"]})).row(0, named=True)["timestamp"].isoformat()
    '2020-01-01T01:00:00+00:00'
    """
    known = {name: _SPELLINGS.get(name.strip().lower(), name) for name in frame.columns}
    frame = frame.rename({old: new for old, new in known.items() if old != new})
    if "step" not in frame.columns or "timestamp" in frame.columns:
        return frame
    hours = pl.col("step").cast(pl.Float64, strict=False).cast(pl.Int64)
    return frame.with_columns(timestamp=pl.lit(START).cast(pl.Datetime("us", "UTC")) + pl.duration(hours=hours))
