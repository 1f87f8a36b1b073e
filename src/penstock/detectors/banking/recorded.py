"""Recorded payments: files of the simulator, and tables that name the same things a little differently."""

import polars as pl

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
    present = {name.lower(): name for name in frame.columns}
    renamed: dict[str, str] = {}
    for name, others in _OTHER_NAMES.items():
        found = next((present[other] for other in (name, *others) if other in present), None)
        if found is not None and found != name:
            renamed[found] = name
    return frame.rename(renamed)
