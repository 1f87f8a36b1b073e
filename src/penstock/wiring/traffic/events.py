"""Events to send, simulated and recorded, to a file too; and the load test of a service."""

import importlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from penstock.adapters.http import ServiceAddress, request
from penstock.adapters.load import Measured, fetch, measure
from penstock.adapters.recorded import items
from penstock.adapters.simulated import Simulation
from penstock.adapters.traffic import Item
from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.offline.archived import KINDS, as_recorded
from penstock.offline.datasets import Recorded, as_csv, read
from penstock.offline.simulate import Profile, simulate, submitted
from penstock.offline.train import train
from penstock.wiring.detectors import installed, load_detector, module_of

_SMALL_TRAINING = 20_000
_MOST_SIMULATED = 50_000  # distinct events of a load test; beyond that only ids differ


def profile_of(reference: str) -> Profile:
    """The simulator's profile of a detector, from the module `profile` next to it.

    Raises:
        ConfigurationError: the detector has none.
    """
    detector = load_detector(reference)
    module = module_of(reference)
    try:
        labelled = importlib.import_module(f"{module.__name__}.profile") if hasattr(module, "__path__") else module
    except ModuleNotFoundError:
        labelled = module
    profile = getattr(labelled, "profile", None)
    if not isinstance(profile, Profile):
        raise ConfigurationError(
            f"detector {detector.name!r} cannot be simulated: it comes without a profile; detectors with one:"
            f" {', '.join(installed())}; or declare in its file: profile = Profile(...) from penstock.offline.simulate"
        )
    return profile


def simulation(reference: str, **world: Any) -> Simulation:
    """The events of `penstock simulate`; without a number of events endless at a given pace, else 10,000."""
    if world.get("events") is None and world.get("tps") is None:
        world["events"] = 10_000
    return Simulation(profile_of(reference), **world)


def read_recorded(reference: str, data: Path | str) -> Recorded:
    """Recorded events of a detector: from a file, or from an archive given by URL or folder.

    Raises:
        DataError: they do not fit the detector, or there are none.
        SinkUnavailable: the archive does not answer.
    """
    detector = load_detector(reference)
    if "://" not in str(data) and not Path(data).is_dir():
        return read(Path(data), detector)
    from penstock.adapters.s3 import ObjectArchive

    with ObjectArchive(str(data)) as archive:
        frame = as_recorded(archive.frames(detector.name, KINDS), detector)
    return replace(read(frame, detector), name=str(data).partition("?")[0])


def recorded_items(reference: str, recorded: Recorded, *, labels: bool) -> Iterator[Item]:
    """Recorded events, and their labels when they became known, for a service."""
    detector = load_detector(reference)
    label = detector.label
    frame = recorded.frame
    if label is not None and "label_known_at" not in frame.columns:
        delay = pl.duration(microseconds=label.delay_us)
        frame = frame.with_columns(label_known_at=pl.col(detector.time) + delay)
    return items(
        [frame],
        id=detector.id,
        time=detector.time,
        label=label.field if label is not None and labels else None,
        drop=[label.field] if label is not None else [],
        informing=bool(detector.informs),
    )


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as .parquet, .csv or .ndjson, by the path's ending.

    Raises:
        ConfigurationError: another ending, or the folder does not exist.
    """
    if path.suffix not in _WRITERS:
        shown = path.suffix or "a file without ending"
        raise ConfigurationError(f"{path}: cannot write {shown}; it ends in .parquet, .csv or .ndjson")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: there is no folder {path.parent}; make it first")
    _WRITERS[path.suffix](frame, path)


_WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".csv": lambda frame, path: as_csv(frame).write_csv(path),
    ".ndjson": lambda frame, path: frame.write_ndjson(path),
}


def load_test(url: str, *, requests: int, concurrency: int, rate: float | None, settings: Settings) -> Measured:
    """Measure a running service with simulated events of its detector. settings: key and certificate for it.

    Raises:
        ConfigurationError: it serves no detector that can be simulated.
    """
    address = ServiceAddress.of(url, settings)
    profile = profile_of(_served(address))
    frame = simulate(profile, events=min(requests, _MOST_SIMULATED))
    bodies = [msgspec.json.encode(event)[1:] for event in submitted(profile, frame.drop(profile.id))]
    run = f'{{"{profile.id}":"load-{secrets.token_hex(4)}-'.encode()

    def make(number: int) -> bytes:
        body = run + b'%09d",' % number + bodies[number % len(bodies)]
        return request(address, "POST", "/predict", body)

    return measure(address, make, requests=requests, concurrency=concurrency, rate=rate)


def train_small(reference: str, models: Path, *, progress: Callable[[float], None] = lambda _share: None) -> None:
    """Train a detector's models on few simulated events, into this folder: enough to measure their speed.

    Raises:
        ConfigurationError: the detector cannot be simulated.
        DataError: its models need more data; names what is missing.
    """
    detector, profile = load_detector(reference), profile_of(reference)
    history = read(simulate(profile, events=_SMALL_TRAINING, fraud_rate=0.03), detector)
    train(detector, history, save_to=models, progress=lambda _what, share: progress(share))


def _served(address: ServiceAddress) -> str:
    """The name of the first served detector that can be simulated."""
    status, body = fetch(address, "/health")
    if status != 200:
        raise ConfigurationError(f"{address.url}/health answers {status}; is it a Penstock service?")
    served = list(msgspec.json.decode(body)["detectors"])
    known = [name for name in served if name in installed()]
    if not known:
        raise ConfigurationError(
            f"the service serves {', '.join(served)}, none of which can be simulated; known: {', '.join(installed())}"
        )
    return str(known[0])
