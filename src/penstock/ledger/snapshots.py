"""Snapshots of engine state on disk: arrays and metadata, as of one position of the log.

    magic "PENSTOCK-STATE" + 2 | header offset | header length | crc32 of the header | padding | array | padding | ... | header

A snapshot is written whole under another name, synced, renamed, and the folder synced; a crash leaves the one before.
The newest two are kept, so that one damaged file costs a longer replay and nothing else. Arrays lie at multiples of
4,096 bytes and are mapped copy-on-write when loaded: changing them does not change the file. The header (msgpack) comes last,
because arrays are written while later ones are still being taken from the state. Format 1 had it behind the magic; it is read.
"""

import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decoding import prepared
from penstock.errors import LedgerDamaged
from penstock.ledger.disk import Disk, read_at, trouble_of
from penstock.private_files import make_private

KEPT = 2

_HEAD = Struct("<16sQQI4x")
_MAGIC = b"PENSTOCK-STATE\2\0"
_FIRST_HEAD = Struct("<16sQI4x")
_FIRST_MAGIC = b"PENSTOCK-STATE\1\0"
_PAGE = 4096
_PIECE_BYTES = 8 << 20

_log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[Any]]


class _Described(msgspec.Struct, array_like=True):
    """One array of a snapshot: where it stands and the checksums of its pieces."""

    name: str
    dtype: str
    shape: list[int]
    offset: int
    crcs: list[int]


class _Header(msgspec.Struct, array_like=True):
    """The first part of a snapshot."""

    meta: dict[str, Any]
    arrays: list[_Described]
    size: int


def save(
    folder: Path,
    arrays: Mapping[str, NDArray[Any]] | Iterable[tuple[str, NDArray[Any]]],
    meta: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    *,
    position: int | None = None,
    disk: Disk | None = None,
) -> Path:
    """Write a snapshot; its position orders them: the log's records before it are in the state.

    arrays: taken one after another while they are written, in pieces of 8 MiB, each synced, so that the log's own small writes
    never wait behind gigabytes. meta: may be a function that is called when all arrays are written; position: then given, else
    that of `meta`.

    Raises:
        LedgerFull: no room; existing snapshots stay.
        LedgerError: the device refused; likewise.
    """
    disk = disk or Disk()
    position = meta["position"] if position is None and not callable(meta) else position
    path = folder / f"{position:016d}.state"
    fresh = path.with_name(path.name + ".tmp")
    try:
        make_private(folder)
        fresh.unlink(missing_ok=True)
        _write(disk, fresh, arrays.items() if isinstance(arrays, Mapping) else arrays, meta)
        disk.rename(fresh, path)
        for old in _paths(folder)[KEPT:]:
            old.unlink()
    except BaseException as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise trouble_of(error, path) from error
        raise
    return path


def _write(
    disk: Disk,
    path: Path,
    arrays: Iterable[tuple[str, NDArray[Any]]],
    meta: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
) -> None:
    described, offset, unsynced = [], _PAGE, 0
    fd = disk.create(path)
    try:
        for name, given in arrays:
            array = np.asarray(given, order="C")
            crcs = []
            for at, piece in _pieces(array):
                crcs.append(zlib.crc32(piece))
                disk.write(fd, piece, offset + at)
                unsynced += len(piece)
                if unsynced >= _PIECE_BYTES:
                    disk.sync(fd)
                    unsynced = 0
            described.append(_Described(name, array.dtype.str, list(array.shape), offset, crcs))
            offset = _padded(offset + array.nbytes)
        body = msgspec.msgpack.encode(_Header(dict(meta() if callable(meta) else meta), described, offset))
        disk.write(fd, body, offset)
        disk.write(fd, _HEAD.pack(_MAGIC, offset, len(body), zlib.crc32(body)), 0)
        disk.sync(fd)
    finally:
        os.close(fd)


def load_newest(
    folder: Path, fits: Callable[[Path, dict[str, Any]], bool] = lambda _path, _meta: True
) -> tuple[Arrays, dict[str, Any]] | None:
    """The newest valid snapshot: its arrays (mapped, copy-on-write) and metadata.

    A damaged one is skipped with a warning in the log; None if there is no valid one. fits: called with the metadata before
    the arrays are read.
    """
    for path in _paths(folder):
        try:
            if fits(path, _header(path).meta):
                return load(path)
        except (LedgerDamaged, OSError) as error:
            _log.warning("%s; the snapshot before it is used, and more of the log is replayed", error)
    return None


def discard(path: Path) -> None:
    """Put a snapshot aside that belongs to another log: neither loaded nor counted any more, but still there for people."""
    Disk().rename(path, path.with_suffix(".discarded"))


def load(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """One snapshot, every byte checked.

    Raises:
        LedgerDamaged: it is cut or does not fit its checksums.
        OSError: it cannot be read.
    """
    header = _header(path)
    if path.stat().st_size < header.size:
        raise LedgerDamaged(f"{path} is damaged: it is {path.stat().st_size} bytes long and should be {header.size}")
    arrays: Arrays = {}
    for place in header.arrays:
        array = _mapped(path, place)
        if _crcs(array) != place.crcs:
            raise LedgerDamaged(f"{path} is damaged: the array {place.name!r} does not fit its checksum")
        arrays[place.name] = array
    return arrays, header.meta


def _header(path: Path) -> _Header:
    head = read_at(path, 0, _HEAD.size)
    offset, length, crc = 0, 0, -1
    if len(head) == _HEAD.size and head.startswith(_MAGIC):
        _, offset, length, crc = _HEAD.unpack(head)
    elif len(head) == _HEAD.size and head.startswith(_FIRST_MAGIC):
        offset, (_, length, crc) = _FIRST_HEAD.size, _FIRST_HEAD.unpack(head[: _FIRST_HEAD.size])
    body = read_at(path, offset, min(length, path.stat().st_size))
    if zlib.crc32(body) == crc:
        return msgspec.msgpack.decode(body, type=prepared(_Header))
    raise LedgerDamaged(f"{path} is damaged: its header is not one")


def _mapped(path: Path, place: _Described) -> NDArray[Any]:
    shape = tuple(place.shape)
    if 0 in shape:
        return np.empty(shape, place.dtype)
    return np.asarray(np.memmap(path, place.dtype, "c", place.offset, shape))


def _pieces(array: NDArray[Any]) -> Iterator[tuple[int, memoryview]]:
    flat = array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
    for at in range(0, len(flat), _PIECE_BYTES):
        yield at, flat[at : at + _PIECE_BYTES]


def _crcs(array: NDArray[Any]) -> list[int]:
    return [zlib.crc32(piece) for _, piece in _pieces(array)]


def _padded(offset: int) -> int:
    return -(-offset // _PAGE) * _PAGE


def _paths(folder: Path) -> list[Path]:
    """Snapshots, the newest first."""
    return sorted(folder.glob("*.state"), reverse=True)
