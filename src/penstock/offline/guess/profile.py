"""Profile of a recorded column: the words of its name, its distinct values, and its values as numbers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import polars as pl

from penstock.ingest.conversions import plain_numbers

SAMPLE = 20_000
"""Values that the form of a column is looked for in; the whole column is then read in the form that was found."""
_MOSTLY = 0.98
_APOSTROPHES = "'\u2019"
"""What separates thousands in Switzerland."""


class NumberFormat(NamedTuple):
    """How numbers are written. bare: computers read them as they are."""

    decimal: str = "."
    thousands: str = ""
    bare: bool = True


@dataclass(frozen=True)
class FileColumn:
    """A column as it stands in the file. name: there. field: as a field of an event, unique among the columns."""

    name: str
    field: str
    values: pl.Series

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of its name, in small letters.

        >>> sorted(FileColumn("transDate_TX2", "", pl.Series([1])).words)
        ['2', 'date', 'trans', 'tx']
        """
        apart = re.sub(
            r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])",
            " ",
            re.sub("(?i)e[- _]mail", "email", self.name),
        )
        return frozenset(re.split(r"[^a-z0-9]+", apart.lower())) - {""}

    def like(self, stems: Iterable[str]) -> str | None:
        """The first of these that its name contains: short ones as a whole word."""
        return next((stem for stem in stems if any(_matches(word, stem) for word in self.words)), None)

    @cached_property
    def present(self) -> pl.Series:
        """The values that are there."""
        return self.values.drop_nulls()

    @cached_property
    def distinct(self) -> int:
        """The number of different values."""
        return self.present.n_unique() if not self.values.dtype.is_nested() else 0

    @cached_property
    def missing(self) -> float:
        """The share of values that are not there."""
        return self.values.null_count() / max(len(self), 1)

    @cached_property
    def form(self) -> NumberFormat | None:
        """How its numbers are written; None where it does not hold numbers."""
        if self.values.dtype.is_numeric() or self.values.dtype == pl.Boolean:
            return NumberFormat()
        if self.values.dtype != pl.String or not len(self.present):
            return None
        sample = self.present.head(SAMPLE)
        if sample.str.contains(r"^-?0[0-9]").any():
            return None  # 007 is a name
        return next((form for form in _forms(sample) if _reads(sample, form)), None)

    @cached_property
    def numbers(self) -> pl.Series | None:
        """Its values as numbers, null where a value is not a number."""
        if self.form is None:
            return None
        return as_numbers(self.values, self.form)

    @cached_property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self.numbers is not None and bool((self.numbers.drop_nulls() % 1 == 0).all())

    @cached_property
    def is_text(self) -> bool:
        """Whether it holds texts, or numbers that are written as no number is."""
        return self.form is None and self.values.dtype in (pl.String, pl.Categorical, pl.Enum)

    def examples(self, count: int = 3) -> str:
        """Some of its values, for comments."""
        texts = self.present.head(1000).unique(maintain_order=True).head(count).cast(pl.String, strict=False).to_list()
        return ", ".join(repr(text if len(text or "") <= 40 else f"{text[:37]}...") for text in texts)


def as_numbers(values: pl.Series, form: NumberFormat) -> pl.Series:
    """Values in this form as numbers."""
    if form.bare:
        return values.cast(pl.Float64, strict=False)
    plain = plain_numbers(pl.col(""), form.decimal, form.thousands).cast(pl.Float64, strict=False)
    return values.alias("").to_frame().select(plain).to_series()


def columns_of(frame: pl.DataFrame) -> list[FileColumn]:
    """The columns of a frame, with names that a field may have."""
    taken: dict[str, str] = {}
    for name in frame.columns:
        field = field_name(name)
        while field in taken:
            field += "_"
        taken[field] = name
    return [FileColumn(name, field, _trimmed(frame[name])) for field, name in taken.items()]


def field_name(name: str) -> str:
    """A name as one of a field in Python and in SQL: unchanged where it can be.

    >>> field_name("TX_AMOUNT"), field_name("Merchant Name"), field_name("Is Fraud?"), field_name("class"), field_name("")
    ('TX_AMOUNT', 'merchant_name', 'is_fraud', 'class_', 'unnamed')
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"
        name = f"column_{name}" if name[0].isdigit() else name
    return f"{name}_" if name.lower() in _RESERVED else name


def _trimmed(values: pl.Series) -> pl.Series:
    return values.fill_nan(None) if values.dtype.is_float() else values


def _matches(word: str, stem: str) -> bool:
    return word == stem or (len(stem) >= 4 and stem in word)


def _forms(sample: pl.Series) -> list[NumberFormat]:
    """The forms that the separators in these texts allow, the most likely first."""
    if _reads(sample, NumberFormat()):
        return [NumberFormat()]
    both = sample.filter(sample.str.contains(",", literal=True) & sample.str.contains(".", literal=True)).head(1).to_list()
    comma_last = bool(both) and both[0].rfind(",") > both[0].rfind(".")
    apart = _APOSTROPHES if sample.str.contains(f"[0-9][{_APOSTROPHES}][0-9]").any() else ""
    thousands_only = bool(sample.filter(sample.str.contains(",", literal=True)).str.contains(r",\d{3}(\D|$)").all())
    comma, point = NumberFormat(",", "." + apart, bare=False), NumberFormat(".", "," + apart, bare=False)
    if comma_last or (not both and not thousands_only):
        return [comma, point]
    return [point, comma]


def _reads(sample: pl.Series, form: NumberFormat) -> bool:
    rows = len(sample)
    if form.thousands:  # in groups of three, so that 10.1.22.103 is no number
        between, decimal = re.escape(form.thousands), re.escape(form.decimal)
        grouped = rf"([0-9]{{1,3}}([{between}][0-9]{{3}})+|[0-9]+)({decimal}[0-9]+)?"
        sample = sample.filter(sample.str.contains(f"^[^0-9]*{grouped}[^0-9]*$"))
    found = as_numbers(sample, form)
    return rows > 0 and found.count() >= _MOSTLY * rows


_RESERVED = frozenset(
    re.findall(
        r"\w+",
        "all and any array as asc between both by case cast check class column constraint create cross current def del "
        "desc distinct do else end except exists false for from full global group having if import in inner interval "
        "into is join lambda lateral leading left like limit natural none not null offset on or order outer over pass "
        "primary raise references return right row score select set some table then to trailing true try union unique "
        "using values when where while window with yield decision arrived_at label_known_at ",
    )
)
"""Words that mean something else in Python, in SQL, or in every recorded file."""
