"""Data files of declarations: CSV, Parquet or Excel tables, located, read and fingerprinted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import DeclarationError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

_READERS = {".csv": "csv", ".parquet": "parquet", ".xlsx": "excel", ".xls": "excel"}


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A file's content. place: the declaration, for errors. fingerprint: SHA-256 of its bytes."""

    place: str
    path: Path
    frame: "pl.DataFrame"
    fingerprint: str

    def refuse(self, what: str) -> DeclarationError:
        """The error for a fault of this file."""
        return DeclarationError(f"{self.place}: {what} ({self.path.name} has the columns {', '.join(self.frame.columns)})")

    def column(self, name: str) -> "pl.Series":
        """The column with this name."""
        if name not in self.frame.columns:
            raise self.refuse(f"no column {name!r}.{did_you_mean(name, self.frame.columns)}")
        return self.frame[name]

    def numbers(self, name: str) -> "pl.Series":
        """The column as float64; texts have to be numbers."""
        import polars as pl

        column = self.column(name)
        numbers = column.cast(pl.Float64, strict=False)
        wrong = column.filter(column.is_not_null() & numbers.is_null())
        if len(wrong):
            raise self.refuse(f"column {name!r} has to hold numbers, not {wrong[0]!r}")
        return numbers

    def texts(self, name: str) -> "list[str | None]":
        """The column as texts; whole numbers are written without a fraction."""
        import polars as pl

        column = self.column(name)
        if column.dtype.is_float() and (column.drop_nulls() % 1 == 0).all():
            column = column.cast(pl.Int64)
        return column.cast(pl.String).to_list()

    def is_numeric(self, name: str) -> bool:
        """Whether every value of the column is a number or missing."""
        import polars as pl

        column = self.column(name)
        return not column.dtype.is_temporal() and column.cast(pl.Float64, strict=False).null_count() == column.null_count()


def read_table(path: str | Path, folder: Path, place: str) -> LookupTable:
    """Read a file; a relative path is looked for in the folder of the declaring file, then in the working directory.

    CSV is read as text: the type of a column follows from its use, so that 007 stays 007.

    Raises:
        DeclarationError: where the file is not there or cannot be read.
    """
    found = _found(Path(path), (folder, Path.cwd()), place)
    kind = _READERS.get(found.suffix.lower())
    if kind is None:
        raise DeclarationError(f"{place}: {found.name} is not a file that can be read: {', '.join(_READERS)}")
    try:
        frame = _read(found, kind)
    except Exception as error:
        raise DeclarationError(f"{place}: {found} cannot be read: {error}") from error
    return LookupTable(place, found, frame, hashlib.sha256(found.read_bytes()).hexdigest())


def _read(path: Path, kind: str) -> "pl.DataFrame":
    import polars as pl

    if kind == "csv":
        return pl.read_csv(path, infer_schema=False)
    return pl.read_parquet(path) if kind == "parquet" else pl.read_excel(path, engine="calamine")


def _found(path: Path, folders: Sequence[Path], place: str) -> Path:
    candidates = [path] if path.is_absolute() else [folder / path for folder in dict.fromkeys(folders)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DeclarationError(f"{place}: there is no file {' nor '.join(map(str, candidates))}")
