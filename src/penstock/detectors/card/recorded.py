"""Readers of recorded card payments: the Fraud Detection Handbook's tables, the simulated set Sparkov, and others.

The Handbook (Le Borgne et al.) has customers and terminals: its customers are users here, its terminals merchants, and
its payments all of one category. Sparkov has `lat` and `long` where the holder lives, `merch_lat` and `merch_long`
where the payment is made, and the day of birth, of which only the age at the payment goes on.
"""

import polars as pl

from penstock.offline.columns import under_own_names

_HANDBOOK = {
    "TRANSACTION_ID": "transaction_id",
    "TX_DATETIME": "timestamp",
    "CUSTOMER_ID": "user",
    "TERMINAL_ID": "merchant",
    "TX_AMOUNT": "amount",
    "TX_FRAUD": "is_fraud",
}
_SPARKOV = {
    "trans_num": "transaction_id",
    "trans_date_trans_time": "timestamp",
    "cc_num": "card",
    "amt": "amount",
    "merch_lat": "latitude",
    "merch_long": "longitude",
    "lat": "home_latitude",
    "long": "home_longitude",
    "city_pop": "city_population",
}
_OTHER_NAMES = {
    "transaction_id": ("id", "tx_id"),
    "timestamp": ("time", "datetime", "transaction_time"),
    "amount": ("amt", "value"),
    "latitude": ("lat",),
    "longitude": ("long", "lon", "lng"),
    "user": ("user_id", "customer_id", "customer"),
    "card": ("card_number", "card_id", "cc_num"),
    "device": ("device_id",),
    "merchant": ("merchant_id", "terminal_id"),
    "ip": ("ip_address",),
    "is_fraud": ("fraud", "label", "class"),
}
ONE_CATEGORY = "card"
"""The category of files that know none."""


def adapt(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with the event's column names.

    >>> adapt(pl.DataFrame({"TX_DATETIME": ["2018-04-01"], "CUSTOMER_ID": [7], "TX_AMOUNT": [3.5]})).columns
    ['timestamp', 'user', 'amount', 'category']
    """
    if "TX_DATETIME" in frame.columns:
        frame = _renamed(frame, _HANDBOOK)
    elif {"trans_date_trans_time", "cc_num"} <= set(frame.columns):
        frame = _sparkov(frame)
    else:
        frame = under_own_names(frame, _OTHER_NAMES)
    return frame if "category" in frame.columns else frame.with_columns(category=pl.lit(ONE_CATEGORY))


def _sparkov(frame: pl.DataFrame) -> pl.DataFrame:
    """Sparkov's own names; its hours are those of the payer's clock, as its times are."""
    frame = _renamed(frame, _SPARKOV)
    if "dob" not in frame.columns:
        return frame
    return frame.with_columns(age=_years(_date("dob"), _date("timestamp")))


def _years(born: pl.Expr, now: pl.Expr) -> pl.Expr:
    """Whole years between two dates, as people count birthdays."""
    before_birthday = now.dt.strftime("%m-%d") < born.dt.strftime("%m-%d")
    return (now.dt.year() - born.dt.year() - before_birthday.cast(pl.Int32)).cast(pl.Float64)


def _date(name: str) -> pl.Expr:
    """The date that a column of texts, dates or times begins with."""
    return pl.col(name).cast(pl.String).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)


def _renamed(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    return frame.rename({old: new for old, new in names.items() if old in frame.columns})
