"""The archive reader: finds the valid files and fetches them for SQL and frames."""

import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import obstore
import polars as pl

from penstock.adapters.s3.layout import OWNERS, ArchiveFile, Extent, Reign, file_of, owner_of, that_count
from penstock.adapters.s3.place import StoreLocation
from penstock.decoding import prepared
from penstock.errors import DataError
from penstock.ledger.sql import answer

_AT_ONCE = 8
_NONE = Extent(0, 0)
_PAUSES = (0.05, 0.2, 0.5, 0)


def reigns_in(place: StoreLocation, log: str | None = None, *, contents: bool = True) -> dict[str, dict[Reign, Extent]]:
    """The reigns by log; of one log, if it is named. contents: read the progress of each, too."""
    found: dict[str, dict[Reign, Extent]] = {}
    for path in paths_of(place, OWNERS):
        owner = owner_of(path)
        if owner is not None and log in (None, owner[0]):
            found.setdefault(owner[0], {})[owner[1]] = _extent(place, path) if contents else _NONE
    return found


def _extent(place: StoreLocation, path: str) -> Extent:
    """The progress of a writer. Some stores truncate an object while it is replaced, so it is read twice."""
    for pause in _PAUSES:
        try:
            return msgspec.json.decode(bytes(obstore.get(place.store, path).bytes()), type=prepared(Extent))
        except msgspec.DecodeError as error:
            cause = error
            time.sleep(pause)
    raise DataError(
        f"{place.name}/{path} says how far a writer of this archive has come, and is damaged: {cause}; restore the object "
        "from an older version of the bucket"
    ) from cause


def paths_of(place: StoreLocation, prefix: str | None = None) -> list[str]:
    """The path of every object of a place, or of those that begin with a prefix."""
    return [entry["path"] for chunk in obstore.list(place.store, prefix) for entry in chunk]


class ObjectArchive:
    """The archived rows up to this moment.

    Args:
        url: as for `StoreLocation`.
        since, until: only rows that arrived in these hours.

    Raises:
        ConfigurationError: the URL names no store.
        SinkUnavailable: the store does not answer.
        DataError: a progress file is damaged.
    """

    def __init__(self, url: str, *, since: datetime | None = None, until: datetime | None = None) -> None:
        self._place = StoreLocation(url)
        self._scratch = Path(tempfile.mkdtemp(prefix="penstock-archive-"))
        with self._place.asked():
            reigns = reigns_in(self._place)
            listed = [file for path in paths_of(self._place) if (file := file_of(path)) is not None]
        self.files = [file for file in that_count(listed, reigns) if _inside(file, since, until)]

    def query(self, sql: str, *, limit_s: float | None = None) -> pl.DataFrame:
        """The result of one SELECT over the archive: see `penstock.ledger.archive.Archive.query`.

        Raises:
            DataError: the SQL is not one SELECT, or does not fit the views. Or it took longer than `limit_s`.
        """
        files: dict[tuple[str, str], list[Path]] = {}
        for file, path in self._fetched(self.files).items():
            files.setdefault((file.detector, file.kind), []).append(path)
        readable = [self._scratch, *([self._place.folder] if self._place.folder is not None else [])]
        return answer(sql, files, self._scratch, readable, limit_s=limit_s)

    def frames(self, detector: str, kinds: Collection[str]) -> Mapping[str, pl.DataFrame]:
        """All rows of a detector by kind, in the order in which they were written.

        Raises:
            DataError: nothing of it was archived here.
        """
        wanted = [file for file in self.files if file.detector == detector]
        if not any(file.kind in ("decisions", "loaded") for file in wanted):
            names = ", ".join(sorted({file.detector for file in self.files})) or "none"
            raise DataError(f"{self._place.name} holds no decisions of detector {detector!r}; archived here: {names}")
        paths = self._fetched([file for file in wanted if file.kind in kinds])
        frames: dict[str, pl.DataFrame] = {}
        for kind in kinds:
            parts = [pl.read_parquet(path, hive_partitioning=False) for file, path in paths.items() if file.kind == kind]
            if parts:
                frames[kind] = pl.concat(parts, how="diagonal_relaxed").sort("seq", maintain_order=True)
        return frames

    def _fetched(self, files: Collection[ArchiveFile]) -> dict[ArchiveFile, Path]:
        """Where each file lies on this machine."""
        if self._place.folder is not None:
            return {file: self._place.folder / file.path for file in files}
        with self._place.asked(), ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(files, pool.map(self._fetch, files), strict=True))

    def _fetch(self, file: ArchiveFile) -> Path:
        path = self._scratch / file.path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(obstore.get(self._place.store, file.path).bytes())
        return path

    def close(self) -> None:
        """Remove the downloaded files."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _inside(file: ArchiveFile, since: datetime | None, until: datetime | None) -> bool:
    if file.hour is None:
        return True
    return (since is None or file.hour + timedelta(hours=1) > since) and (until is None or file.hour < until)
