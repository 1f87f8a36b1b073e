"""Readers of recorded payments: files of the simulator, and tables with slightly different column names."""

import polars as pl

from penstock.offline.columns import under_own_names

_OTHER_NAMES = {
    "transaction_id": ("id", "trans_id", "tx_id", "trans_num"),
    "timestamp": ("time", "datetime", "date", "transaction_time"),
    "customer_id": ("customer", "client_id", "account_id"),
    "merchant_id": ("merchant", "payee_id"),
    "amount": ("amt", "value"),
    "lat": ("latitude",),
    "long": ("lon", "lng", "longitude"),
    "is_fraud": ("fraud", "label", "class"),
}


def adapt(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with the event's column names, where the file uses another usual name for them.

    >>> adapt(pl.DataFrame({"customer": ["C1"], "amt": [3.5]})).columns
    ['customer_id', 'amount']
    """
    return under_own_names(frame, _OTHER_NAMES)
