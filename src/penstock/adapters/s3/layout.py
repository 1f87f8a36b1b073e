"""The paths of files in an archive, and the rule for which of them are valid.

    detector=banking/date=2026-01-05/hour=10/decisions-FIRST-STOP-FENCE.N-LOG.parquet
    detector=banking/date=2026-01-05/hour=10/json/ID.json
    _owners/LOG/FENCE.N.json

FIRST and STOP are positions in the log. A writer begins a *reign*, named by the owner's fencing number and a count: its
file records where it began and how far it has come. A file counts if it lies within the reign of its name: behind where
that began, before where the next one did, and before where it is known to be complete. So files that a crash left
unfinished, or that a frozen owner writes after its succession, are never read. The store must only create objects
atomically.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec

OWNERS = "_owners"
_FILE = re.compile(
    r"detector=(?P<detector>[^/]+)/(?:date=(?P<date>[\d-]{10})/hour=(?P<hour>\d\d)/)?"
    r"(?P<kind>\w+)-(?P<first>\d{16})-(?P<stop>\d{16})-(?P<fence>\d+)\.(?P<n>\d+)-(?P<log>[^/]+)\.parquet"
)
_OWNER = re.compile(OWNERS + r"/(?P<log>[^/]+)/(?P<fence>\d+)\.(?P<n>\d+)\.json")

Reign = tuple[int, int]
"""The owner's fencing number, and which of its reigns."""


class Extent(msgspec.Struct, frozen=True):
    """The positions of a reign: where it began, and before which everything is written.

    checksum: of the record before `position`: see `penstock.ledger.cursors`; None where version 0.1 wrote it.
    """

    start: int
    position: int
    checksum: int | None = None


class ArchiveFile(NamedTuple):
    """One Parquet file. hour: the hour of arrival of its rows; None where they are history that was loaded."""

    path: str
    detector: str
    kind: str
    log: str
    first: int
    stop: int
    reign: Reign
    hour: datetime | None


def file_path(detector: str, kind: str, hour: datetime | None, stretch: tuple[int, int], reign: Reign, log: str) -> str:
    """Where a file lies.

    >>> file_path("banking", "decisions", datetime(2026, 1, 5, 10, tzinfo=UTC), (0, 512), (7, 0), "banking")
    'detector=banking/date=2026-01-05/hour=10/decisions-0000000000000000-0000000000000512-7.0-banking.parquet'
    """
    first, stop = stretch
    name = f"{kind}-{first:016d}-{stop:016d}-{reign[0]}.{reign[1]}-{_quoted(log)}.parquet"
    return f"{folder_of(detector, hour)}/{name}"


def folder_of(detector: str, hour: datetime | None) -> str:
    """The folder of a detector's hour."""
    return f"detector={_quoted(detector)}" + (f"/date={hour:%Y-%m-%d}/hour={hour:%H}" if hour is not None else "")


def owner_path(log: str, reign: Reign) -> str:
    """The path of a reign's progress file."""
    return f"{OWNERS}/{_quoted(log)}/{reign[0]}.{reign[1]}.json"


def owner_of(path: str) -> tuple[str, Reign] | None:
    """The log and reign of a path; None for another object."""
    match = _OWNER.fullmatch(path)
    return None if match is None else (unquote(match["log"]), (int(match["fence"]), int(match["n"])))


def file_of(path: str) -> ArchiveFile | None:
    """The file described by a path; None for another object."""
    match = _FILE.fullmatch(path)
    if match is None:
        return None
    hour = datetime.fromisoformat(f"{match['date']}T{match['hour']}:00").replace(tzinfo=UTC) if match["date"] else None
    return ArchiveFile(
        path,
        unquote(match["detector"]),
        match["kind"],
        unquote(match["log"]),
        int(match["first"]),
        int(match["stop"]),
        (int(match["fence"]), int(match["n"])),
        hour,
    )


def that_count(files: Iterable[ArchiveFile], reigns: Mapping[str, Mapping[Reign, Extent]]) -> list[ArchiveFile]:
    """The files that count, in the order of their positions.

    >>> reigns = {"a": {(1, 0): Extent(0, 200), (2, 0): Extent(100, 150)}}
    >>> name = lambda first, stop, fence: file_of(file_path("d", "decisions", None, (first, stop), (fence, 0), "a"))
    >>> [(f.first, f.stop, f.reign) for f in that_count([name(0, 100, 1), name(100, 200, 1), name(100, 150, 2)], reigns)]
    [(0, 100, (1, 0)), (100, 150, (2, 0))]
    """
    bounds: dict[tuple[str, Reign], tuple[int, int]] = {}
    for log, extents in reigns.items():
        end = None
        for reign in sorted(extents, reverse=True):
            extent = extents[reign]
            stop = extent.position if end is None else min(extent.position, end)
            bounds[log, reign] = (extent.start, stop)
            end = extent.start if end is None else min(end, extent.start)
    counted = []
    for file in files:
        start, stop = bounds.get((file.log, file.reign), (0, -1))
        if start <= file.first and file.stop <= stop:
            counted.append(file)
    return sorted(counted, key=lambda file: (file.log, file.first, file.path))


def _quoted(name: str) -> str:
    return quote(name, safe="")
