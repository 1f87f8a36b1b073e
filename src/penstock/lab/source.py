"""The data source of a page: a recorded file or a simulated stretch, and its detector. Hashable, for caching."""

from pathlib import Path

import msgspec

from penstock.errors import DataError


class SimulatedEvents(msgspec.Struct, frozen=True):
    """Simulated events, as `penstock simulate` makes them; the same settings make the same events.

    attacks: only these; none named means all, in their usual shares.
    """

    events: int = 20_000
    days: float = 30.0
    fraud_rate: float = 0.02
    attacks: tuple[str, ...] = ()
    seed: int = 0


class RecordedFile(msgspec.Struct, frozen=True):
    """A recorded file in its present state; a changed file is a different one."""

    path: str
    modified_ns: int
    size: int

    @classmethod
    def at(cls, path: str) -> "RecordedFile":
        """The file at this path.

        Raises:
            DataError: there is no name, or no file.
        """
        if not path.strip():
            raise DataError("name a recorded file: .csv, .parquet or .ndjson")
        if "://" in path:  # an archive, of which nothing tells cheaply whether it has grown
            return cls(path.strip(), 0, 0)
        place = Path(path.strip()).expanduser()
        try:
            found = place.stat()
        except OSError:
            return cls(str(place), 0, 0)  # reading it says what is wrong, and what it may have been meant to be
        return cls(str(place), found.st_mtime_ns, found.st_size)


class EventSource(msgspec.Struct, frozen=True):
    """Events through a detector. detector: the DETECTOR of the command line. version: of what is computed."""

    detector: str
    version: str
    events: RecordedFile | SimulatedEvents
