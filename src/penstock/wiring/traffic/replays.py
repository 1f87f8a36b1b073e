"""Sources of replays for a running service: a simulated world, or recorded files in the settings."""

import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import polars as pl

from penstock.adapters.recorded import items
from penstock.clock import Clock, from_us, system_clock
from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import ConfigurationError
from penstock.offline.datasets import accepted, read
from penstock.offline.simulate import Profile, Simulator, submitted
from penstock.wiring.traffic.events import profile_of

SIMULATOR = "simulator"
MOST = 100_000
"""Maximum of transactions of a recorded file that are kept in memory."""

_AT_ONCE = 256
_FEWEST = 50  # people of a simulated world

World = Callable[[], Iterator[pl.DataFrame]]
"""Continues a simulation: frames of its events, without end."""


@dataclass(frozen=True)
class RecordedReplay:
    """Transactions under new ids."""

    ids: Sequence[str]
    _bodies: Callable[[], Iterator[bytes]]

    def bodies(self) -> Iterator[bytes]:
        """The transactions as JSON, in order."""
        return self._bodies()


class RecordedReplays:
    """The sources that `POST /stream` may replay.

    Args:
        detectors: the served ones, by the DETECTOR of the command line.
        settings: name recorded files, in `replays`.
        worlds: by detector, a running simulation; without one each replay starts its own.

    Raises:
        ConfigurationError: a recorded file has the simulator's name.
    """

    def __init__(
        self,
        detectors: Mapping[str, Detector],
        settings: Settings,
        *,
        worlds: Mapping[str, World] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        if SIMULATOR in settings.replays:
            raise ConfigurationError(
                f"replays: {SIMULATOR!r} is what simulated transactions are called; call the file something else"
            )
        self._references = {detector.name: reference for reference, detector in detectors.items()}
        self._detectors = {detector.name: detector for detector in detectors.values()}
        self._files, self._worlds, self._clock = settings.replays, dict(worlds or {}), clock
        self._most_refused = settings.max_refused
        self._frames: dict[tuple[str, str], pl.DataFrame] = {}
        self._lock = threading.Lock()

    def sources(self, detector: str) -> Collection[str]:
        """The names of a detector's sources."""
        return [*self._files, *([SIMULATOR] if self._profile(detector) is not None else [])]

    def open(self, detector: str, source: str, count: int) -> RecordedReplay:
        """At most so many transactions of a source, under new ids.

        Raises:
            DataError: the recorded file cannot be read as events of this detector.
        """
        if source == SIMULATOR:
            ids = self._new_ids(detector, count)
            return RecordedReplay([str(each) for each in ids], partial(self._simulated, detector, ids))
        frame = self._recorded(detector, source, self._files[source]).head(count)
        ids = self._new_ids(detector, len(frame))
        return RecordedReplay([str(each) for each in ids], partial(_bodies, self._detectors[detector], frame, ids))

    def _new_ids(self, detector: str, count: int) -> Sequence[str | int]:
        """Unused ids: texts, or numbers if the detector's are."""
        if self._detectors[detector].schema.events[0].id.whole:
            first = secrets.randbits(34) << 17
            return range(first, first + count)
        mark = f"stream-{secrets.token_hex(6)}"
        return [f"{mark}-{number:06d}" for number in range(count)]

    # ---------------------------------------------------------------- simulated

    def _profile(self, detector: str) -> Profile | None:
        try:
            return profile_of(self._references[detector])
        except ConfigurationError:
            return None

    def _simulated(self, detector: str, ids: Sequence[str | int]) -> Iterator[bytes]:
        """Events of the running simulation, or of a new one that has reached the present."""
        profile = self._profile(detector)
        assert profile is not None
        world = self._worlds.get(detector)
        frames = world() if world is not None else self._new_world(profile, len(ids))
        events = (event for frame in frames for event in submitted(profile, frame))
        for transaction_id, event in zip(ids, events, strict=False):
            event[profile.id] = transaction_id
            yield msgspec.json.encode(event)

    def _new_world(self, profile: Profile, count: int) -> Iterator[pl.DataFrame]:
        people = max(_FEWEST, round(count / profile.per_day))
        start = from_us(self._clock()) - timedelta(days=count / (people * profile.per_day))
        simulator = Simulator(profile, seed=secrets.randbits(31), start=start, people=people)
        while True:
            yield simulator.batch(min(count, _AT_ONCE))

    # ---------------------------------------------------------------- recorded

    def _recorded(self, detector: str, source: str, file: Path) -> pl.DataFrame:
        """The first transactions of a file; read once."""
        with self._lock:
            if (detector, source) not in self._frames:
                frame = accepted(read(file, self._detectors[detector]), self._most_refused).frame
                if self._detectors[detector].informs and "type" in frame.columns:
                    frame = frame.filter(pl.col("type").is_null())
                self._frames[detector, source] = frame.head(MOST)
            return self._frames[detector, source]


def _bodies(detector: Detector, frame: pl.DataFrame, ids: Sequence[str | int]) -> Iterator[bytes]:
    """The rows of a frame as JSON, with these ids, without fields known only later."""
    label = detector.label
    named = frame.with_columns(pl.Series(detector.id, list(ids), dtype=frame.schema[detector.id]))
    hidden = [label.field] if label is not None else []
    return (item.body for item in items([named], id=detector.id, time=detector.time, label=None, drop=hidden))
