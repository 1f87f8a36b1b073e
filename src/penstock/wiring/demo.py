"""The demo: a trained detector with warm state and simulated live traffic."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl

from penstock.adapters.world import TPS, LiveWorld, Place
from penstock.clock import Clock, from_us, system_clock
from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine, warm_up
from penstock.engine.startup import shipped_ensemble
from penstock.offline.datasets import Recorded, read
from penstock.offline.simulate import Profile, simulate
from penstock.offline.train import has_champion, train
from penstock.wiring.detectors import load_detector
from penstock.wiring.engines import load_history, open_engine
from penstock.wiring.traffic.events import profile_of
from penstock.wiring.traffic.replays import Replays

DETECTOR = "banking"
_PLACE = "demo.json"
_SAVE_EVERY_S = 5.0
_OFF = timedelta(days=1)
_TRAINED_DAYS, _TRAINED_PEOPLE = 60, 2500

Say = Callable[[str], None]
Advance = Callable[[float], None]


@dataclass(frozen=True)
class Demo:
    """The parts of a demo."""

    settings: Settings
    detector: Detector
    world: LiveWorld
    replays: Replays

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
            _write_place(self.settings.data, self.world.place)


def prepare_demo(
    settings: Settings, *, tps: float = TPS, attack: str | None, say: Say, progress: Advance, clock: Clock = system_clock
) -> Demo:
    """Prepare a demo: the first time this simulates, trains and warms the state.

    The state is warmed with the payments of the last days; and with those missed while the demo was off for more than a
    day.

    Raises:
        ConfigurationError: there is no attack of this name.
        FolderInUse: another process owns the data folder.
    """
    detector, profile = load_detector(DETECTOR), profile_of(DETECTOR)
    world = LiveWorld(profile, tps=tps, attack=attack, clock=clock)
    if attack is not None:
        world.begin(attack)
    if not has_champion(detector, settings.models_folder) and shipped_ensemble(detector) is None:
        say("the first start simulates two months of payments and learns from them; later ones take seconds")
        _train(detector, read(_recorded(profile), detector), settings, progress, clock)
    place = _read_place(settings.data)
    seen = None if place is None else datetime.fromisoformat(place.reached)
    if seen is None or from_us(clock()) - seen > _OFF:
        with open_engine(detector, settings) as engine:
            history = read(world.history(seen), detector)
            load_history(engine, history, progress=lambda share: progress(0.8 + 0.2 * share))
        _write_place(settings.data, world.place)
    replays = Replays({DETECTOR: detector}, settings, worlds={DETECTOR: world.frames})
    return Demo(settings, detector, world, replays)


def _recorded(profile: Profile) -> pl.DataFrame:
    """Two months of payments for training, the same on every machine and every day."""
    events = round(_TRAINED_PEOPLE * profile.per_day * _TRAINED_DAYS)
    return simulate(profile, events=events, people=_TRAINED_PEOPLE, seed=1)


def _train(detector: Detector, history: Recorded, settings: Settings, progress: Advance, clock: Clock) -> None:
    """Train, and compile serving code meanwhile: fitting releases the GIL."""
    compiling = threading.Thread(target=lambda: warm_up(Engine(detector, wait_for_models=True, clock=clock)))

    def advance(what: str, share: float) -> None:
        if what == "fitting" and compiling.ident is None:  # it is called more than once
            compiling.start()
        progress(0.8 * share)

    train(detector, history, save_to=settings.models_folder, progress=advance, clock=clock)
    if compiling.ident is not None:
        compiling.join()


def _read_place(data: Path) -> Place | None:
    try:
        return msgspec.json.decode((data / _PLACE).read_bytes(), type=Place)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write_place(data: Path, place: Place) -> None:
    fresh = data / f"{_PLACE}.new"
    fresh.write_bytes(msgspec.json.encode(place))
    fresh.replace(data / _PLACE)
