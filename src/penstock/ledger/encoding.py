"""A record as bytes: a header of 64 bytes, then the columns, shuffled and compressed.

    magic "PNR1" | length | raw length | crc32 | kind | version | - | rows | back | position | first_seq | detector | newest

length: compressed bytes after the header. raw length: the same before compression. crc32: of the header with this
field zero, then of the compressed bytes. back: bytes from here to the start of the group that was written at once (it
tells a torn group from damage). position: the record's ordinal number in the log. detector: the code of its name.
newest: the latest arrival in the record, microseconds.

The compressed part is msgpack (`_Body`: names, texts, shapes), then the bytes of every array. Arrays are stored byte
by byte across rows (all first bytes, all second bytes, ...), because neighbouring rows resemble one another: that
makes lz4 both faster and tighter. Nothing in it can run code when it is read.
"""

import math
import zlib
from functools import lru_cache
from struct import Struct
from typing import Any

import lz4.block
import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_code
from penstock.decoding import prepared
from penstock.messages import Record

KINDS = ("decisions", "informing", "labels", "loaded", "control")
"""What a record can be, by the number in its header."""

MAGIC = b"PNR1"
HEADER_BYTES = 64
LARGEST_BYTES = 1 << 30
_VERSION = 1
_HEADER = Struct("<4sIIIBBHIIqqqq4x")
_NO_CRC = Struct("<I")


class Header(msgspec.Struct, frozen=True):
    """The facts about a record that can be read without decompressing it."""

    length: int
    raw_length: int
    crc: int
    kind: str
    rows: int
    back: int
    position: int
    first_seq: int
    detector: int
    newest_us: int

    @property
    def total(self) -> int:
        """Bytes of header and columns together."""
        return HEADER_BYTES + self.length


class _Body(msgspec.Struct, array_like=True):
    """The part of a record that is not arrays; `arrays` are (name, dtype, shape), in the order of their bytes."""

    detector: str
    ids: list[str]
    meta: dict[str, Any]
    texts: dict[str, list[str | None]]
    arrays: list[tuple[str, str, list[int]]]


_FIXED = ("codes", "time_us", "arrived_us")
_INT64 = np.dtype(np.int64)
detector_code = lru_cache(text_code)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(prepared(_Body))


def encode(record: Record, position: int, back: int = 0) -> bytes:
    """Encode a record with this position in the log.

    Raises:
        ValueError: a column has another number of rows, or is of a kind without bytes (objects).
    """
    raw = _raw(record)
    packed = lz4.block.compress(raw, store_size=False)
    header = _pack(record, position, back, len(packed), len(raw), crc=0)
    crc = zlib.crc32(packed, zlib.crc32(header))
    return b"".join((header[:12], _NO_CRC.pack(crc), header[16:], packed))


def renumbered(data: bytes, position: int, first_seq: int) -> bytes:
    """The bytes of one record, made before its place was known, with its place.

    >>> import numpy as np
    >>> none = np.empty(0, np.int64)
    >>> moved = renumbered(encode(Record("labels", "shop", 0, [], none, none, none), 0), 7, 90)
    >>> header = header_of(moved)
    >>> header.position, header.first_seq, intact(header, moved)
    (7, 90, True)
    """
    fields = list(_HEADER.unpack(data[:HEADER_BYTES]))
    fields[3], fields[9], fields[10] = 0, position, first_seq
    header = _HEADER.pack(*fields)
    crc = zlib.crc32(data[HEADER_BYTES:], zlib.crc32(header))
    return b"".join((header[:12], _NO_CRC.pack(crc), header[16:], data[HEADER_BYTES:]))


def _pack(record: Record, position: int, back: int, length: int, raw_length: int, *, crc: int) -> bytes:
    arrived_us = record.arrived_us
    newest_us = int(arrived_us.max() if len(arrived_us) > 1 else arrived_us[0]) if len(record) else 0
    kind = KINDS.index(record.kind)
    detector = detector_code(record.detector)
    rows = len(record)
    return _HEADER.pack(
        MAGIC, length, raw_length, crc, kind, _VERSION, 0, rows, back, position, record.first_seq, detector, newest_us
    )


def _raw(record: Record) -> bytes:
    arrays = {"codes": record.codes, "time_us": record.time_us, "arrived_us": record.arrived_us}
    texts: dict[str, list[str | None]] = {}
    for name, column in record.columns.items():
        if isinstance(column, np.ndarray):
            arrays["." + name] = column
        else:
            texts[name] = column
    described = [(name, _dtype_name(array.dtype), list(array.shape)) for name, array in arrays.items()]
    body = _encoder.encode(_Body(record.detector, record.ids, record.meta, texts, described))
    parts = [_NO_CRC.pack(len(body)), body]
    parts += [shuffle(array) for array in arrays.values()]
    return b"".join(parts)


@lru_cache
def _dtype_name(dtype: np.dtype[Any]) -> str:
    """What an array is called in the body, by its type.

    Raises:
        ValueError: it holds objects.
    """
    if dtype.hasobject:
        raise ValueError(f"a column of type {dtype} has no bytes; use a list of texts")
    return dtype.str


def shuffle(array: NDArray[Any]) -> bytes:
    """The bytes of an array, byte by byte across its rows."""
    rows = array.shape[0]
    if rows <= 1 or array.size == 0:
        return array.tobytes()
    planes = np.ascontiguousarray(array).view(np.uint8).reshape(rows, -1)
    return planes.T.tobytes()


def _unshuffle(data: memoryview, dtype: str, shape: list[int]) -> NDArray[Any]:
    planes = np.frombuffer(data, np.uint8).reshape(-1, shape[0])
    return np.ascontiguousarray(planes.T).view(dtype).reshape(shape)


def header_of(data: bytes | memoryview, at: int = 0) -> Header | None:
    """The header at `at`, or None; its checksum is not checked."""
    if len(data) - at < HEADER_BYTES:
        return None
    magic, length, raw, crc, kind, version, _, rows, back, position, first_seq, detector, newest = _HEADER.unpack_from(data, at)
    if magic != MAGIC or version != _VERSION or kind >= len(KINDS) or length > LARGEST_BYTES:
        return None
    return Header(length, raw, crc, KINDS[kind], rows, back, position, first_seq, detector, newest)


def intact(header: Header, data: bytes | memoryview, at: int = 0) -> bool:
    """Whether all bytes of the record at `at` are there and fit the checksum."""
    view = memoryview(data)[at : at + header.total]
    if len(view) < header.total:
        return False
    crc = zlib.crc32(view[:12])
    crc = zlib.crc32(b"\0\0\0\0", crc)
    return zlib.crc32(view[16:], crc) == header.crc


def decode(header: Header, data: bytes | memoryview, at: int = 0) -> Record:
    """The record whose header stands at `at`; the caller has checked that it is intact."""
    packed = memoryview(data)[at + HEADER_BYTES : at + header.total]
    raw = memoryview(lz4.block.decompress(packed, uncompressed_size=header.raw_length))
    body_bytes = _NO_CRC.unpack_from(raw)[0]
    body = _decoder.decode(raw[4 : 4 + body_bytes])
    columns: dict[str, Any] = dict(body.texts)
    fixed: dict[str, NDArray[np.int64]] = {}
    start = 4 + body_bytes
    for name, dtype, shape in body.arrays:
        size = np.dtype(dtype).itemsize * math.prod(shape)
        array = _unshuffle(raw[start : start + size], dtype, shape) if size else np.empty(shape, dtype)
        start += size
        if name in _FIXED:
            fixed[name] = array
        else:
            columns[name[1:]] = array
    return Record(header.kind, body.detector, header.first_seq, body.ids, columns=columns, meta=body.meta, **fixed)


def check_shape(record: Record) -> None:
    """Refuse a record whose parts do not fit together, while the mistake can still be traced.

    Raises:
        ValueError: naming the part, its rows and the rows expected.
    """
    if record.kind not in KINDS:
        raise ValueError(f"record kind {record.kind!r} is not known; use one of {', '.join(KINDS)}")
    rows = len(record.ids)
    for name in _FIXED:
        part = getattr(record, name)
        if part.dtype != _INT64:
            raise ValueError(f"column {name!r} must be int64, not {part.dtype}")
        if len(part) != rows:
            raise _misfit(record, name, len(part))
    for name, column in record.columns.items():
        if len(column) != rows:
            raise _misfit(record, name, len(column))


def _misfit(record: Record, name: str, rows: int) -> ValueError:
    return ValueError(f"column {name!r} of a {record.kind} record has {rows} rows, its ids have {len(record)}")
