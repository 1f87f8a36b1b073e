"""Splits: the rows of files that one task reads together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from penstock.errors import DataError

TOGETHER = 4
"""Slices of a file that are read together."""


@dataclass(frozen=True)
class FileSplit:
    """Some rows of one file. name: the prefix of generated ids."""

    file: int
    path: str
    name: str
    first: int
    rows: int


def splits_of(files: Sequence[Path], work: Path, size: int) -> list[FileSplit]:
    """The rows of the files, in pieces of a few slices of this size; CSV becomes Parquet in `work` first.

    Raises:
        DataError: a file is not there, or is of another kind.
    """
    found: list[FileSplit] = []
    for number, file in enumerate(_expanded(files)):
        path = _as_parquet(file, work / f"{number:04d}.parquet")
        total = int(pl.scan_parquet(path).select(pl.len()).collect().item())
        starts = range(0, max(total, 1), TOGETHER * size)
        found += [FileSplit(number, str(path), str(file), first, min(TOGETHER * size, total - first)) for first in starts]
    return found


def _expanded(files: Sequence[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            inside = sorted(file.glob("**/*.parquet"))
            if not inside:
                raise DataError(f"the folder {file} holds no .parquet file")
            yield from inside
        elif file.is_file():
            yield file
        else:
            raise DataError(f"there is no file {file}")


def _as_parquet(file: Path, target: Path) -> Path:
    if file.suffix.lower() == ".parquet":
        return file.resolve()
    if file.suffix.lower() != ".csv":
        raise DataError(f"{file}: a backfill reads .parquet and .csv; turn it into Parquet first")
    try:
        pl.scan_csv(file, infer_schema=False).sink_parquet(target)  # as texts, so that a key 007 stays 007
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{file} cannot be read as csv: {error}") from error
    return target
