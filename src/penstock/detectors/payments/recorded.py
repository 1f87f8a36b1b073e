"""Readers of recorded payments: files of the simulator, and tables with slightly different column names."""

import polars as pl

from penstock.offline.columns import under_own_names

_OTHER_NAMES = {
    "transaction_id": ("id", "payment_id", "tx_id"),
    "timestamp": ("time", "datetime", "date", "created_at"),
    "user_id": ("user", "customer_id", "account_id"),
    "amount": ("amt", "value"),
    "merchant": ("merchant_id", "merchant_name", "payee"),
    "location": ("country",),
    "device_id": ("device",),
    "transaction_type": ("type", "channel"),
    "is_fraud": ("fraud", "label", "class"),
}


def adapt(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with the event's column names, where the file uses another usual name for them.

    >>> adapt(pl.DataFrame({"user": ["U1"], "amt": [3.5], "country": ["France"]})).columns
    ['user_id', 'amount', 'location']
    """
    return under_own_names(frame, _OTHER_NAMES)
