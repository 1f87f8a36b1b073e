"""The demo: a trained detector, a state that is alive, and simulated people who go on paying."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from penstock.adapters.world import LiveWorld, Place
from penstock.assemble.detectors import load_detector
from penstock.assemble.engines import load_history, open_engine
from penstock.assemble.replays import Replays
from penstock.assemble.traffic import profile_of
from penstock.clock import Clock, system_clock
from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine, warm_up
from penstock.offline.datasets import Recorded, read
from penstock.offline.train import has_champion, train

DETECTOR = "banking"
_PLACE = "demo.json"
_SAVE_EVERY_S = 5.0

Say = Callable[[str], None]
Advance = Callable[[float], None]


@dataclass(frozen=True)
class Demo:
    """What a demo has beside what is served."""

    settings: Settings
    detector: Detector
    world: LiveWorld
    replays: Replays

    @contextmanager
    def running(self, tps: float) -> Iterator[tuple[Iterator[bytes], "queue.SimpleQueue[bytes]"]]:
        """Events as JSON, without end, and the labels that follow them; the world's place is kept meanwhile."""
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


def prepare_demo(settings: Settings, *, attack: str | None, say: Say, progress: Advance, clock: Clock = system_clock) -> Demo:
    """Bring everything to where a demo can start: the first time this simulates, trains and warms the state.

    Raises:
        ConfigurationError: there is no attack of this name.
        FolderInUse: another process owns the data folder.
    """
    detector, profile = load_detector(DETECTOR), profile_of(DETECTOR)
    place = _read_place(settings.data)
    trained = has_champion(detector, settings.models_folder)
    if place is None or not trained:
        say("the first start simulates two months of payments and learns from them; later ones take seconds")
        world = LiveWorld(profile, clock=clock)
        history = read(world.history(), detector)
        if not trained:
            _train(detector, history, settings, progress, clock)
        if place is None:
            with open_engine(detector, settings) as engine:
                load_history(engine, history, progress=lambda share: progress(0.8 + 0.2 * share))
            place = world.place
            _write_place(settings.data, place)
    world = LiveWorld(profile, at=place, attack=attack, clock=clock)
    if attack is not None:
        world.begin(attack)
    replays = Replays({DETECTOR: detector}, settings, worlds={DETECTOR: world.frames})
    return Demo(settings, detector, world, replays)


def _train(detector: Detector, history: Recorded, settings: Settings, progress: Advance, clock: Clock) -> None:
    """Train, and compile meanwhile what serving needs: fitting runs in code that lets other threads work."""
    compiling = threading.Thread(target=lambda: warm_up(Engine(detector, wait_for_models=True, clock=clock)))

    def advance(what: str, share: float) -> None:
        if what == "fitting" and compiling.ident is None:  # it is told more than once
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
