"""The Parquet archive, and SQL over the whole history: `archive/DETECTOR/decisions-FIRST-STOP.parquet`, by log positions.

Full stretches of the log are rolled into one file per detector and kind. Records not rolled yet are expanded for each
query, so that an answer holds everything that was durable when the query began.
"""

import logging
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote

import polars as pl

from penstock.errors import LedgerDamaged, LedgerError
from penstock.ledger.cursors import discarded
from penstock.ledger.disk import Disk, trouble_of
from penstock.ledger.expand import frame_of
from penstock.ledger.port import Ledger
from penstock.ledger.query_folder import QueryFolder, sweep
from penstock.ledger.sql import answer
from penstock.messages import Record
from penstock.private_files import make_private

FILE_ROWS = 262_144
_PIECE_ROWS = 32_768
_GROUP_ROWS = 131_072
_POLL_S = 5.0
_ROLLED = "archive.rolled"
_FILES = "archive.files"
_ROLLED_NAME = re.compile(r"(\w+)-(\d{16})-(\d{16})\.parquet")

_log = logging.getLogger(__name__)


class Archive:
    """The Parquet side of a ledger.

    Args:
        ledger: where the records are; read-only is enough for queries.
        folder: holds the files, one folder per detector; None keeps nothing (every query expands the whole ledger).
        file_rows: how many rows of the log are rolled at a time.
    """

    def __init__(self, ledger: Ledger, folder: Path | str | None = None, *, file_rows: int = FILE_ROWS) -> None:
        self._ledger = ledger
        self._folder = None if folder is None else Path(folder)
        self._file_rows = file_rows
        self._lock = threading.Lock()
        self._tail_from = self._tail_to = 0
        self._made: QueryFolder | None = None
        if self._folder is not None:
            sweep(self._folder.parent)
        self._said: set[str] = set()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------ rolling

    @property
    def rolled_position(self) -> int:
        """Records before this one are in Parquet."""
        return self._rolled()[0]

    def _rolled(self) -> tuple[int, int]:
        position, seq = map(int, self._ledger.tables.setting(_ROLLED, (0, 0)))
        if self._folder is None:
            return position, seq
        if position > self._ledger.durable_position:
            self._say_once(f"{self._folder} holds {position} records, the log {self._ledger.durable_position}: it was restored")
            return self._back_to(0)
        missing = [path for path, _, _, stop in self._listed() if stop <= position and not path.exists()]
        if not missing:
            return position, seq
        self._say_once(f"{missing[0]} is missing; what was in it is made again from the log")
        return self._back_to(min(first for path, _, first, _ in self._listed() if path in missing))

    def _listed(self) -> list[tuple[Path, str, int, int]]:
        """The files that were rolled, as the ledger remembers them; those that are there, where version 0.1 rolled them."""
        assert self._folder is not None
        names = self._ledger.tables.setting(_FILES)
        return _rolled_files(self._folder) if names is None else _described(self._folder / name for name in names)

    def _back_to(self, position: int) -> tuple[int, int]:
        """The place from which the archive is to be made again.

        Raises:
            LedgerDamaged: the log does not hold it any more.
        """
        if position < self._ledger.first_position:
            raise LedgerDamaged(
                f"the archive in {self._folder} lacks what was rolled from position {position} on, and the log begins at "
                f"{self._ledger.first_position}; restore the missing files from a copy"
            )
        return position, next((record.first_seq for _, record in self._ledger.read(position)), 0)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            discarded("archive", text)

    def roll(self, *, everything: bool = False) -> int:
        """Write full stretches of the log as Parquet (the begun one too, if `everything`); returns the rows written.

        A stretch counts once all its files are durable: after a crash it is written again under the same names.

        Raises:
            LedgerError, LedgerFull: the device refused; what was rolled before stays.
        """
        if self._folder is None:
            return 0
        position, seq = self._rolled()
        rolled = 0
        while everything or self._ledger.next_seq - seq >= self._file_rows:
            stop, frames = self._expand(position, self._file_rows)
            rows = sum(len(frame) for frame in frames.values())
            if stop == position or (rows < self._file_rows and not everything):
                break
            self._remove_strays(position)
            names = [str(path.relative_to(self._folder)) for path, _, first, _ in self._listed() if first < position]
            for (detector, kind), frame in frames.items():
                names.append(f"{quote(detector, safe='')}/{kind}-{position:016d}-{stop:016d}.parquet")
                self._write(frame, self._folder / names[-1])
            position, seq, rolled = stop, seq + rows, rolled + rows
            self._ledger.tables.put_setting(_FILES, names)
            self._ledger.tables.put_setting(_ROLLED, (position, seq))
        return rolled

    def _remove_strays(self, position: int) -> None:
        """Delete files beyond the rolled position, left by a crash or by an earlier ledger."""
        assert self._folder is not None
        for path, _, first, _ in _rolled_files(self._folder):
            if first >= position:
                path.unlink()

    def _expand(self, position: int, most_rows: int | None = None) -> tuple[int, dict[tuple[str, str], pl.DataFrame]]:
        """The next rows of the log as frames by detector and kind, and the position after them."""
        layouts = self._ledger.layouts()
        frames: dict[tuple[str, str], list[pl.DataFrame]] = {}
        for stop, piece in self._pieces(position, most_rows):
            position = stop
            for key in dict.fromkeys((record.detector, record.kind) for record in piece):
                some = [record for record in piece if (record.detector, record.kind) == key]
                frames.setdefault(key, []).append(frame_of(some, layouts))
        whole = {key: pl.concat(parts, how="diagonal_relaxed") for key, parts in frames.items()}
        return position, {key: frame for key, frame in whole.items() if len(frame)}

    def _pieces(self, position: int, most_rows: int | None) -> Iterator[tuple[int, list[Record]]]:
        """Records in pieces that are small as Python objects, each with the position after it."""
        rows, piece, total = 0, [], 0
        for at, record in self._ledger.read(position):
            piece.append(record)
            rows, total, position = rows + len(record), total + len(record), at + 1
            full = most_rows is not None and total >= most_rows
            if rows >= _PIECE_ROWS or full:
                yield position, piece
                rows, piece = 0, []
            if full:
                return
        if piece:
            yield position, piece

    def _write(self, frame: pl.DataFrame, path: Path) -> None:
        fresh = path.with_name(path.name + ".tmp")
        try:
            make_private(path.parent)
            fresh.touch(mode=0o600)
            frame.write_parquet(fresh, compression="zstd", compression_level=1, row_group_size=_GROUP_ROWS)
            _sync(fresh)
            Disk().rename(fresh, path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise trouble_of(error, path) from error

    def start(self) -> None:
        """Roll in the background from now on, whenever a stretch is full."""
        self._thread = threading.Thread(target=self._run, name="penstock-archive", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(_POLL_S):
            try:
                self.roll()
            except LedgerError as error:
                _log.warning("the archive falls behind: %s", error)

    # ------------------------------------------------------------ querying

    def query(self, sql: str, *, limit_s: float | None = None) -> pl.DataFrame:
        """The result of one SELECT, over everything that is durable now. Times are UTC.

        Views: `decisions`, `labels`, `informing`, `loaded`, `quarantine`, and one of each detector's name with its
        decisions. No other file of this machine can be read with it. limit_s: how long it may take.

        Raises:
            DataError: the SQL is not one SELECT, or does not fit the views; the message is DuckDB's. Or it took too long.
        """
        with self._lock:
            folders = [folder for folder in (self._folder, self._scratch) if folder is not None]
            return answer(sql, self._files(), self._scratch, folders, quarantine=self._quarantine(), limit_s=limit_s)

    def _files(self) -> dict[tuple[str, str], list[Path]]:
        """Parquet files by detector and kind: rolled ones, then the tail."""
        rolled = self.rolled_position if self._folder is not None else 0
        files: dict[tuple[str, str], list[Path]] = {}
        for path, kind, _, stop in self._listed() if self._folder is not None else []:
            if stop <= rolled:
                files.setdefault((path.parent.name, kind), []).append(path)
        for path in self._tail(rolled):
            files.setdefault((path.parent.name, path.stem.partition("-")[0]), []).append(path)
        return {(unquote(folder), kind): paths for (folder, kind), paths in files.items()}

    def _tail(self, rolled: int) -> list[Path]:
        """Files of the records not rolled yet; each query adds only the new ones."""
        tail = self._scratch / "tail"
        if rolled != self._tail_from:
            shutil.rmtree(tail, ignore_errors=True)
            self._tail_from = self._tail_to = rolled
        stop, frames = self._expand(self._tail_to)
        for (detector, kind), frame in frames.items():
            path = tail / quote(detector, safe="") / f"{kind}-{self._tail_to:016d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(path, compression="uncompressed")
        self._tail_to = stop
        return sorted(tail.glob("*/*.parquet"))

    @property
    def _scratch(self) -> Path:
        """A folder for query results and the tail, removed when the archive is closed."""
        if self._made is None:
            self._made = QueryFolder(None if self._folder is None else self._folder.parent)
        return self._made.path

    def _quarantine(self) -> Path:
        tables = self._ledger.tables
        events = tables.quarantined(limit=tables.quarantine_count())
        path = self._scratch / "quarantine.parquet"
        rows = [(e.id, e.detector, e.received_us, e.cause, e.field, e.body.decode("utf-8", "replace")) for e in events]
        schema = {
            "id": pl.Int64,
            "detector": pl.String,
            "received_at": pl.Int64,
            "cause": pl.String,
            "field": pl.String,
            "body": pl.String,
        }
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        frame.with_columns(pl.col("received_at").cast(pl.Datetime("us", "UTC"))).write_parquet(path)
        return path

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """Stop rolling and remove temporary files; may be called twice."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        if self._made is not None:
            self._made.close()
            self._made = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _rolled_files(folder: Path) -> list[tuple[Path, str, int, int]]:
    """Path, kind, first position and the position after the last of every file that was rolled here."""
    return _described(sorted(folder.glob("*/*.parquet")))


def _described(paths: Iterable[Path]) -> list[tuple[Path, str, int, int]]:
    found = [(path, _ROLLED_NAME.fullmatch(path.name)) for path in paths]
    return [(path, match[1], int(match[2]), int(match[3])) for path, match in found if match]


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
