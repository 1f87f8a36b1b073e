"""Time zones as flat tables of instants and offsets, for the years 1970 to 2100.

The rules come from the package `tzdata`, never from the machine, so that a replay elsewhere gives the same hours.
"""

import functools
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from penstock.codes import declared_codes

_SECOND_US = 1_000_000
_LAST_YEAR = 2100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@functools.cache
def zone_names() -> frozenset[str]:
    """Every zone there is, such as Europe/Berlin."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


@functools.cache
def zone_table(name: str) -> NDArray[np.int64]:
    """The table of one zone: k, then k instants (microseconds, UTC) of a change, then the k + 1 offsets around them."""
    content = resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
    instants, offsets = _listed(content)
    for instant_s, offset_s in _by_rule(ZoneInfo.from_file(BytesIO(content)), int(instants[-1]) if len(instants) else 0):
        instants.append(instant_s)
        offsets.append(offset_s)
    table = np.array([len(instants), *instants, *offsets], np.int64)
    table[1:] *= _SECOND_US
    return table


def _listed(content: bytes) -> tuple[list[int], list[int]]:
    """The changes since 1970 that the file lists (RFC 8536, second block), in seconds."""
    first = struct.unpack(">6l", content[20:44])
    start = 44 + first[3] * 5 + first[4] * 6 + first[5] + first[2] * 8 + first[1] + first[0]
    _, _, _, count, types, _ = struct.unpack(">6l", content[start + 20 : start + 44])
    start += 44
    instants = np.frombuffer(content, ">i8", count, start)
    kinds = np.frombuffer(content, np.uint8, count, start + 8 * count)
    of_kind = [struct.unpack(">l", content[start + 9 * count + 6 * t :][:4])[0] for t in range(types)]
    before = int(np.searchsorted(instants, 0, "right"))
    offset_1970 = of_kind[int(kinds[before - 1])] if before else of_kind[0]
    return instants[before:].tolist(), [offset_1970, *(of_kind[int(k)] for k in kinds[before:])]


def _by_rule(zone: ZoneInfo, after_s: int) -> Iterator[tuple[int, int]]:
    """The changes by the zone's standing rule, found between the first days of the months after the last listed one."""
    year = (_EPOCH + timedelta(seconds=after_s)).year
    firsts = (datetime(y, month, 1, tzinfo=UTC) for y in range(year, _LAST_YEAR + 1) for month in range(1, 13))
    seconds = (int((first - _EPOCH).total_seconds()) for first in firsts)
    marks = [after_s, *(second for second in seconds if second > after_s)]
    offsets = [_offset_s(zone, mark) for mark in marks]
    for k in range(len(marks) - 1):
        if offsets[k] != offsets[k + 1]:
            yield _change(zone, marks[k], marks[k + 1]), offsets[k + 1]


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The second between the two at which the zone's offset changes."""
    old = _offset_s(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_s(zone, middle) == old else (low, middle)
    return high


def _offset_s(zone: ZoneInfo, instant_s: int) -> int:
    offset = (_EPOCH + timedelta(seconds=instant_s)).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


@functools.cache
def zone_directory() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All zones, for those named in a field: sorted codes of their names, where the table of each starts, the tables."""
    names = sorted(zone_names())
    tables = [zone_table(name) for name in names]
    starts = np.cumsum([0, *map(len, tables[:-1])])
    codes = declared_codes(names)
    order = np.argsort(codes)
    return codes[order], starts[order], np.concatenate(tables)
