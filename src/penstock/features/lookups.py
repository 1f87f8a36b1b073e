"""Lookups: values that a file holds for ranges (an address's country) or for keys (a country's figure in a year).

    lookup("country", "ip_address", ranges="IpAddress_to_Country.csv")
    lookup("gdp", "country", "year", table="gdp_usd.csv")

A lookup is a column like any other: a number or a text, null where the file has no answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from penstock.codes import NULL, declared_codes, number_codes
from penstock.errors import DeclarationError, ExpressionError, did_you_mean
from penstock.features.files import LookupTable, read_table
from penstock.messages import Batch, Column, Layout, Type

_LOWER = frozenset({"lower", "start", "from", "first", "low", "begin"})
_UPPER = frozenset({"upper", "end", "to", "last", "high"})
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that codes of several keys combine without loss


# ---------------------------------------------------------------- declared


@dataclass(frozen=True, slots=True)
class Lookup:
    """A declared lookup. Its fingerprint covers the file's content, not its location."""

    name: str
    keys: tuple[str, ...]
    by_range: bool
    path: str = field(repr=False)
    key_columns: tuple[str, ...] | None = None
    lower: str | None = None
    upper: str | None = None
    value: str | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it reads."""
        return self.keys

    def named(self, name: str) -> "Lookup":
        """The same lookup under another name."""
        return replace(self, name=name)

    def load(self, folder: Path, layout: Layout) -> "Loaded":
        """Read the file, and add the column to the layout.

        folder: where relative paths begin; the working directory comes second.

        Raises:
            DeclarationError: where the file, its columns or its content leave a doubt.
        """
        place = f"feature {self.name!r}"
        for key in self.keys:
            if key not in layout:
                raise DeclarationError(f"{place}: no column {key!r}.{did_you_mean(key, layout)}")
        table = read_table(self.path, folder, place)
        index, value = self._ranges(table, layout) if self.by_range else self._keyed(table, layout)
        values = _values(table, value, index.order)
        return Loaded(self.name, layout.add(self.name, values.type), index, values, table.fingerprint)

    def _ranges(self, table: LookupTable, layout: Layout) -> "tuple[_Ranges, str]":
        lower = self.lower or _bound(table, _LOWER, "lower")
        upper = self.upper or _bound(table, _UPPER, "upper")
        value = self.value or _only_one_left(table, self.name, (lower, upper))
        return _Ranges.of(table, layout[self.keys[0]], lower, upper), value

    def _keyed(self, table: LookupTable, layout: Layout) -> "tuple[_Keyed, str]":
        columns, value = _key_columns(table, self)
        return _Keyed.of(table, [layout[key] for key in self.keys], columns), value


def lookup(
    name: str,
    *keys: str | Sequence[str],
    ranges: str | Path | None = None,
    table: str | Path | None = None,
    key_columns: str | Sequence[str] | None = None,
    lower: str | None = None,
    upper: str | None = None,
    value: str | None = None,
) -> Lookup:
    """Declare a column whose values a file holds.

    Args:
        name: of the column.
        keys: the fields or features to look up: one for ranges, one or more for a table.
        ranges: a file of ranges, both ends included: numbers or IPv4 addresses, with a value each.
        table: a file with a value for each key, or combination of keys.
        key_columns: the table's column for each key.
        lower: the column of the lower ends of ranges.
        upper: the column of the upper ends.
        value: the column of the values.

    Columns that are not given are guessed where there is no doubt, by name or as the only one left. CSV, Parquet and
    Excel files are read, relative to the file that declares the lookup or to the working directory.

    An address may be a text (`93.184.216.34`), a number, or a number with a fraction, which is cut off where the ends are
    whole. Where ranges overlap, the one that begins last counts; one whose ends are swapped holds nothing.

    >>> lookup("gdp", "country", "year", table="gdp_usd.csv").keys
    ('country', 'year')

    Raises:
        DeclarationError: where not exactly one of ranges and table is given, or the keys do not fit it.
    """
    flat = tuple(key for group in keys for key in ([group] if isinstance(group, str) else group))
    place = f"feature {name!r}"
    if (ranges is None) == (table is None):
        raise DeclarationError(f"{place}: a lookup takes either ranges=FILE or table=FILE")
    if not flat or (ranges is not None and len(flat) > 1):
        raise DeclarationError(
            f"{place}: a lookup in {'ranges takes one key' if ranges else 'a table takes one key or more'}, not {len(flat)}"
        )
    named = (key_columns,) if isinstance(key_columns, str) else key_columns
    if named is not None and len(named) != len(flat):
        raise DeclarationError(f"{place}: {len(flat)} keys, but {len(named)} key_columns")
    return Lookup(
        name, flat, ranges is not None, str(ranges or table), tuple(named) if named is not None else None, lower, upper, value
    )


def lookups_of(features: Iterable[object]) -> dict[str, str]:
    """The columns that these features look up in files, and the names of the files."""
    return {each.name: Path(each.path).name for each in features if isinstance(each, Lookup)}


# ---------------------------------------------------------------- which column is which


def _bound(table: LookupTable, words: frozenset[str], what: str) -> str:
    found = [name for name in table.frame.columns if words & set(name.lower().replace(" ", "_").split("_"))]
    if len(found) != 1:
        raise table.refuse(f"which column is the {what} end of a range is not certain; say {what}=...")
    return found[0]


def _only_one_left(table: LookupTable, name: str, taken: Iterable[str]) -> str:
    left = [column for column in table.frame.columns if column not in set(taken)]
    if name in left:
        return name
    if len(left) != 1:
        raise table.refuse("which column is the value is not certain; say value=...")
    return left[0]


def _key_columns(table: LookupTable, lookup: Lookup) -> tuple[tuple[str, ...], str]:
    """The columns of the keys, and of the value: by name, or as the only one left."""
    if lookup.key_columns is not None:
        return lookup.key_columns, lookup.value or _only_one_left(table, lookup.name, lookup.key_columns)
    columns = {key: key for key in lookup.keys if key in table.frame.columns}
    value = lookup.value or (lookup.name if lookup.name in table.frame.columns else None)
    missing = [key for key in lookup.keys if key not in columns]
    left = [column for column in table.frame.columns if column not in columns and column != value]
    if len(missing) > 1 or (missing and (len(left) != 1 or value is None)):
        raise table.refuse(f"which columns hold {', '.join(lookup.keys)} is not certain; say key_columns=[...] and value=...")
    if missing:
        columns[missing[0]] = left[0]
    return tuple(columns[key] for key in lookup.keys), value or _only_one_left(table, lookup.name, columns.values())


# ---------------------------------------------------------------- loaded


@dataclass(frozen=True, slots=True)
class Loaded:
    """A lookup with its file in memory, ready to fill its column.

    fingerprint: SHA-256 of the file. texts: the columns whose texts `Batch.texts` must hold.
    """

    name: str
    column: Column
    index: "_Ranges | _Keyed"
    values: "_Values"
    fingerprint: str

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose texts it reads, not only their codes."""
        return self.index.texts

    def run(self, batch: Batch) -> None:
        """Fill the column for all rows, by one search for all of them."""
        self.values.put(self.index.positions(batch), batch, self.column)


@dataclass(frozen=True, slots=True)
class _Values:
    """The value at each position of an index; the last one is null, for a missing key."""

    type: Type
    numbers: NDArray[np.float64]
    codes: NDArray[np.int64]
    texts: list[str | None]

    def put(self, positions: NDArray[np.intp], batch: Batch, column: Column) -> None:
        if self.type is Type.TEXT:
            batch.codes[:, column.index] = self.codes[positions]
            batch.texts[column.name] = [self.texts[position] for position in positions.tolist()]
        else:
            batch.x[:, column.index] = self.numbers[positions]


def _values(table: LookupTable, name: str, order: NDArray[np.intp]) -> _Values:
    if table.is_numeric(name):
        numbers = np.append(table.numbers(name).to_numpy()[order], np.nan)
        return _Values(Type.NUMBER, numbers, np.empty(0, np.int64), [])
    column = table.texts(name)
    texts = [*(column[position] for position in order.tolist()), None]
    return _Values(Type.TEXT, np.empty(0), declared_codes(texts), texts)


@dataclass(frozen=True, slots=True)
class _Ranges:
    """Ranges by their lower ends. order: the file's rows in this order. wider: see `_wider`."""

    key: Column
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    wider: NDArray[np.intp]
    whole: bool
    order: NDArray[np.intp]

    @classmethod
    def of(cls, table: LookupTable, key: Column, lower: str, upper: str) -> "_Ranges":
        """Read and check the ends."""
        if key.type is Type.TIME:
            raise table.refuse(f"{key.name} is a time, which a lookup does not take; derive a number from it")
        low, high = _ends(table, lower), _ends(table, upper)
        if not len(low):
            raise table.refuse("there is no range in it")
        wrong = np.flatnonzero(np.isnan(low) | np.isnan(high))
        if len(wrong):
            raise table.refuse(f"row {int(wrong[0]) + 1} lacks an end of its range")
        order = np.argsort(low, kind="stable")
        low, high = low[order], high[order]
        return cls(key, low, high, _wider(high), bool(np.all(low % 1 == 0) and np.all(high % 1 == 0)), order)

    @property
    def texts(self) -> frozenset[str]:
        return frozenset({self.key.name} if self.key.type is Type.TEXT else ())

    def positions(self, batch: Batch) -> NDArray[np.intp]:
        """Where each row's range is: the one that begins last among those that hold the key; -1 stands for none."""
        keys = self._keys(batch)
        found = np.searchsorted(self.lower, keys, "right") - 1
        while True:
            outside = (found >= 0) & ~(keys <= self.upper[found])  # a missing key is NaN, and in no range
            if not outside.any():
                return found
            found[outside] = self.wider[found[outside]]

    def _keys(self, batch: Batch) -> NDArray[np.float64]:
        if self.key.type is Type.TEXT:
            if self.key.name not in batch.texts:
                raise ExpressionError(f"a lookup by ranges needs the text of {self.key.name!r}, and only its code is at hand")
            keys = np.array([ipv4_number(text) for text in batch.texts[self.key.name]], np.float64)
        else:
            keys = batch.x[:, self.key.index]
        return np.floor(keys) if self.whole else keys


def _wider(upper: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each range, the previous one that reaches further, or -1: the next candidate for a key beyond its end."""
    wider = np.full(len(upper), -1, np.intp)
    if np.all(upper[1:] > upper[:-1]):
        return wider
    open_: list[int] = []
    ends = upper.tolist()
    for at, end in enumerate(ends):
        while open_ and ends[open_[-1]] <= end:
            open_.pop()
        wider[at] = open_[-1] if open_ else -1
        open_.append(at)
    return wider


def _ends(table: LookupTable, name: str) -> NDArray[np.float64]:
    if table.is_numeric(name):
        return table.numbers(name).to_numpy().astype(np.float64)
    return np.array([ipv4_number(text) for text in table.texts(name)], np.float64)


def ipv4_number(text: str | None) -> float:
    """An IPv4 address as a number, or a number written as text; NaN for other texts.

    >>> ipv4_number("1.0.0.0"), ipv4_number("732758368.8")
    (16777216.0, 732758368.8)
    """
    parts = text.split(".") if text else []
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) < 256 for part in parts):
        a, b, c, d = map(int, parts)
        return float((a << 24) | (b << 16) | (c << 8) | d)
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Keys as sorted codes, several keys combined into one. order: the file's rows in this order."""

    keys: tuple[Column, ...]
    codes: NDArray[np.uint64]
    order: NDArray[np.intp]

    @classmethod
    def of(cls, table: LookupTable, keys: Sequence[Column], columns: Sequence[str]) -> "_Keyed":
        """Read the keys and make sure that each has one row."""
        combined, known = _combined([_codes_in(table, key, column) for key, column in zip(keys, columns, strict=True)])
        rows = np.flatnonzero(known)
        order = rows[np.argsort(combined[rows], kind="stable")]
        if not len(order):
            raise table.refuse("there is no key in it")
        codes = combined[order]
        twice = np.flatnonzero(codes[1:] == codes[:-1])
        if len(twice):
            row = table.frame.row(int(order[twice[0]]), named=True)
            raise table.refuse(f"two rows have the key {', '.join(f'{column}={row[column]}' for column in columns)}")
        return cls(tuple(keys), codes, order)

    @property
    def texts(self) -> frozenset[str]:
        return frozenset()

    def positions(self, batch: Batch) -> NDArray[np.intp]:
        """Where each row's key is; -1 stands for none."""
        combined, known = _combined([_codes_of(batch, key) for key in self.keys])
        last = len(self.codes) - 1
        found = np.minimum(np.searchsorted(self.codes, combined), last)
        return np.where(known & (self.codes[found] == combined), found, -1)


def _codes_of(batch: Batch, key: Column) -> NDArray[np.int64]:
    return batch.codes[:, key.index] if key.type is Type.TEXT else number_codes(batch.x[:, key.index])


def _codes_in(table: LookupTable, key: Column, name: str) -> NDArray[np.int64]:
    if key.type is Type.TIME:
        raise table.refuse(f"{key.name} is a time, which a lookup does not take; derive a number from it, such as its year")
    if key.type is Type.TEXT:
        return declared_codes(table.texts(name))
    return number_codes(table.numbers(name).fill_null(float("nan")).to_numpy())


def _combined(parts: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """One code for several, and whether none of them is null."""
    combined = np.zeros(len(parts[0]), np.uint64)
    known = np.ones(len(parts[0]), np.bool_)
    for part in parts:
        combined = (
            combined * _MIX + part.view(np.uint64) if part.flags.c_contiguous else combined * _MIX + part.astype(np.uint64)
        )
        known &= part != NULL
    return combined, known
