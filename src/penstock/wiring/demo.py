"""The demo: a trained detector with warm state and simulated live traffic."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
import polars as pl

from penstock.adapters.world import HISTORY, TPS, LiveWorld, WorldProgress
from penstock.clock import Clock, from_us, iso, system_clock, to_us
from penstock.config import Settings
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.engine import Engine, warm_up
from penstock.engine.startup import keep_shipped
from penstock.offline.datasets import read
from penstock.offline.registry import FolderRegistry, champion_of
from penstock.offline.simulate import Profile, simulate
from penstock.wiring.demo_history import HistoryStretch, adopt_detector, decide_history
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of
from penstock.wiring.traffic.replays import RecordedReplays

DETECTOR = "banking"
_PLACE = "demo.json"
_SAVE_EVERY_S = 5.0
_OFF = timedelta(days=1)
_TRAINED_DAYS, _TRAINED_PEOPLE = 60, 2500
_TRAINING = 0.8  # the share of training in a preparation


class Advance(Protocol):
    """Reports progress: the share that is done, and the step that follows, if it is another one."""

    def __call__(self, share: float, step: str | None = None, /) -> None:
        """Report it."""
        ...


class Demo:
    """A demo: its simulated town, and what is made before the first decision.

    tps: simulated payments a second. attack: the only attack that takes place; None for all.

    Raises:
        ConfigurationError: there is no attack of this name.
    """

    def __init__(self, settings: Settings, *, tps: float = TPS, attack: str | None = None, clock: Clock = system_clock) -> None:
        self.detector, profile = load_detector(DETECTOR), profile_of(DETECTOR)
        self.world = LiveWorld(profile, tps=tps, attack=attack, clock=clock)
        if attack is not None:
            self.world.begin(attack)
        self.replays = RecordedReplays({DETECTOR: self.detector}, settings, worlds={DETECTOR: self.world.frames})
        self._settings, self._clock = settings, clock
        self._prepared = threading.Event()

    def preparing(self, opener: Callable[[], Engine], progress: Advance) -> Callable[[], Engine]:
        """An opener of the demo's engine that prepares the demo first."""

        def opened() -> Engine:
            self.prepare(progress)
            progress(1.0, "Opening")
            return opener()

        return opened

    def prepare(self, progress: Advance) -> None:
        """Train, if no models came along, and decide the payments of the last month.

        A demo that was off for more than a day decides the payments that it missed.

        Raises:
            FolderInUse: another process owns the data folder.
        """
        settings, trained = self._settings, 0.0
        if champion_of(FolderRegistry(settings.models_folder), self.detector) is None:
            trained = self._provide_models(progress)
        place = _read_place(settings.data)
        if place is not None:
            self._decide_history(place, lambda share, step=None: progress(trained + (1 - trained) * share, step))
        self._remember_now()
        self._prepared.set()

    def _provide_models(self, progress: Advance) -> float:
        """Take the models that came along, else train; the share of the preparation that this was."""
        folder = self._settings.models_folder
        if keep_shipped(self.detector, folder, clock=lambda: self._clock() - HISTORY // timedelta(microseconds=1)):
            return 0.0
        progress(0.0, "Training models on simulated payments")
        _train(self.detector, self.world.profile, folder, progress, self._clock)
        return _TRAINING

    def begin(self) -> None:
        """Begin the history of a new data folder, and adopt the rules of the detector as of then."""
        settings = self._settings
        if _read_place(settings.data) is None and not (settings.data / "ledger" / "log").is_dir():
            began = from_us(self._clock()) - HISTORY
            adopt_detector(self.detector, settings, to_us(began))
            _write_place(settings.data, WorldProgress(self.world.place.seed, began.isoformat(), began.isoformat()))

    def _decide_history(self, place: WorldProgress, progress: Advance) -> None:
        """Decide the payments since the instant that was reached, unless that was within a day."""
        until_us, seen = self._clock(), datetime.fromisoformat(place.reached)
        if from_us(until_us) - seen < _OFF:
            return
        progress(0.0, "Deciding a month of simulated payments")
        frame = self.world.history(seen)

        def decided(share: float, reached_us: int) -> None:
            progress(share)
            _write_place(self._settings.data, replace(place, reached=iso(reached_us)))

        began_us = None if place.began is None else to_us(datetime.fromisoformat(place.began))
        stretch = HistoryStretch(self.world.profile, frame, until_us, began_us)
        decide_history(self.detector, self._settings, stretch, decided)

    @contextmanager
    def running(self, tps: float) -> Iterator[tuple[Iterator[bytes], "queue.SimpleQueue[bytes]"]]:
        """An endless stream of events as JSON, and their labels; stores the position of the simulation."""
        stop, labels = threading.Event(), queue.SimpleQueue[bytes]()
        remembering = threading.Thread(target=self._remember, args=(stop,), name="penstock-demo", daemon=True)
        remembering.start()
        try:
            yield self.world.bodies(labels.put, at_once=max(4, round(tps / 4))), labels
        finally:
            stop.set()
            remembering.join()

    def _remember(self, stop: threading.Event) -> None:
        done = False
        while not done:
            done = stop.wait(_SAVE_EVERY_S)
            if self._prepared.is_set():
                self._remember_now()

    def _remember_now(self) -> None:
        place = _read_place(self._settings.data)
        _write_place(self._settings.data, replace(self.world.place, began=None if place is None else place.began))


def _recorded(profile: Profile, *, seed: int) -> pl.DataFrame:
    """Two months of payments for training, the same on every machine and every day."""
    events = round(_TRAINED_PEOPLE * profile.per_day * _TRAINED_DAYS)
    return simulate(profile, events=events, people=_TRAINED_PEOPLE, seed=seed)


def _train(detector: Detector, profile: Profile, folder: Path, progress: Advance, clock: Clock) -> None:
    """Train a champion and a challenger, and compile serving code meanwhile: fitting releases the GIL."""
    from penstock.offline.train import train

    compiling = threading.Thread(target=lambda: warm_up(Engine(detector, wait_for_models=True, clock=clock)))
    for turn in range(2):

        def advance(what: str, share: float, turn: int = turn) -> None:
            if what == "fitting" and compiling.ident is None:  # it is called more than once
                compiling.start()
            progress(_TRAINING * (turn + share) / 2)

        train(detector, read(_recorded(profile, seed=turn + 1), detector), save_to=folder, progress=advance, clock=clock)
    if compiling.ident is not None:
        compiling.join()


def _read_place(data: Path) -> WorldProgress | None:
    try:
        return msgspec.json.decode((data / _PLACE).read_bytes(), type=prepared(WorldProgress))
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write_place(data: Path, place: WorldProgress) -> None:
    fresh = data / f"{_PLACE}.new"
    fresh.write_bytes(msgspec.json.encode(place))
    fresh.replace(data / _PLACE)
