"""Money in several currencies, converted to one at the rate of the event's day.

    Money("amount", "currency", to="EUR", rates="rates.csv")

declares the column `amount_eur`.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US
from penstock.codes import NULL, text_code, text_codes
from penstock.errors import DeclarationError, did_you_mean
from penstock.features.files import LookupTable, read_table
from penstock.messages import Batch, Column, Layout, Type

_SPAN = np.int64(2**33)  # more seconds than there are between 1970 and 2100


@dataclass(frozen=True, slots=True)
class Money:
    """An amount converted to one currency, as of the event.

    Args:
        amount: the field that holds the amount.
        currency: the field that names its currency, as the file does (such as USD).
        to: the currency of the result.
        rates: a CSV, Parquet or Excel file with the columns `date`, `currency` and `rate`: how many units of `to` one unit
            of the currency is worth, from the start of that day (UTC) until its next rate. A rate of a later day is
            never used. Relative paths begin at the file that declares this, or at the working directory.
        name: of the column; the amount's with the currency behind it unless given.

    Null where amount, currency or rate is missing. Amounts in `to` are taken as they are.

    >>> Money("amount", "currency", to="EUR", rates="rates.csv").name
    'amount_eur'
    """

    amount: str
    currency: str
    to: str
    rates: str | Path = field(repr=False)  # what the file holds counts, not where it lies
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"{self.amount}_{self.to.lower()}")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it reads."""
        return self.amount, self.currency

    def named(self, name: str) -> "Money":
        """The same conversion under another name."""
        return replace(self, name=name)

    def load(self, folder: Path, layout: Layout) -> "Conversion":
        """Read the rates, and add the column to the layout.

        Raises:
            DeclarationError: where a field is missing or of another type, or the file is not one of rates.
        """
        place = f"feature {self.name!r}"
        amount = _field(layout, self.amount, Type.NUMBER, place)
        currency = _field(layout, self.currency, Type.TEXT, place)
        table = read_table(self.rates, folder, place)
        currencies, keys, rates = _schedule(table)
        column = layout.add(self.name, Type.NUMBER)
        return Conversion(column, amount, currency, text_code(self.to), currencies, keys, rates, table.fingerprint)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion with its rates in memory, ready to fill its column.

    currencies: sorted codes. keys, rates: for each rate, currency's position times 2^33 plus the second from which it holds,
    sorted; the rate. fingerprint: SHA-256 of the file.
    """

    column: Column
    amount: Column
    currency: Column
    to: int
    currencies: NDArray[np.int64]
    keys: NDArray[np.int64]
    rates: NDArray[np.float64]
    fingerprint: str

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose texts it reads: none, codes are enough."""
        return frozenset()

    def run(self, batch: Batch) -> None:
        """Fill the column for all rows, each at the rate of its event time."""
        codes = batch.codes[:, self.currency.index]
        position = np.minimum(np.searchsorted(self.currencies, codes), len(self.currencies) - 1)
        known = self.currencies[position] == codes
        latest = np.searchsorted(self.keys, position * _SPAN + batch.time_us // SECOND_US, "right") - 1
        known &= (codes != NULL) & (latest >= 0) & (self.keys[latest] // _SPAN == position)
        rates = np.where(known, self.rates[latest], np.nan)
        rates[codes == self.to] = 1.0
        batch.x[:, self.column.index] = batch.x[:, self.amount.index] * rates


def _field(layout: Layout, name: str, kind: Type, place: str) -> Column:
    if name not in layout:
        raise DeclarationError(f"{place}: no column {name!r}.{did_you_mean(name, layout)}")
    if layout[name].type is not kind:
        raise DeclarationError(f"{place}: {name} has to be a {kind.value}, it is a {layout[name].type.value}")
    return layout[name]


def _schedule(table: LookupTable) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The currencies, and their rates by currency and day."""
    codes = text_codes(table.texts("currency"))
    rates = table.numbers("rate").fill_null(float("nan")).to_numpy()
    days_s = _seconds(table)
    if np.any(rates <= 0.0) or np.any(np.isinf(rates)):
        raise table.refuse("a rate has to be a number above 0")
    there = np.flatnonzero(~np.isnan(rates) & (codes != NULL))
    if not len(there):
        raise table.refuse("there is no rate in it")
    currencies = np.unique(codes[there])
    keys = np.searchsorted(currencies, codes[there]) * _SPAN + np.maximum(days_s[there], 0)
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(twice):
        row = table.frame.row(int(there[order[twice[0]]]), named=True)
        raise table.refuse(f"two rates for {row['currency']} on {row['date']}")
    return currencies, keys[order], rates[there][order]


def _seconds(table: LookupTable) -> NDArray[np.int64]:
    """The start of each row's day, in seconds since 1970."""
    import polars as pl

    column = table.column("date")
    days = column.str.to_date("%Y-%m-%d", strict=False) if column.dtype == pl.String else column.cast(pl.Date, strict=False)
    if days.null_count():
        raise table.refuse(f"column 'date' has to hold days such as 2026-01-31, not {column.filter(days.is_null())[0]!r}")
    return days.cast(pl.Int32).to_numpy().astype(np.int64) * 86_400
