"""From settings and names to working objects: detectors, engines, ways out. The only importer of `penstock.adapters`."""

import hashlib
import importlib.util
import secrets
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import polars as pl

from penstock.adapters.http import Address, Unreachable, request
from penstock.adapters.load import Measured, fetch, measure
from penstock.adapters.recorded import items
from penstock.adapters.simulated import Simulation
from penstock.adapters.traffic import Item, Sent
from penstock.adapters.traffic import send as send_http
from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import ConfigurationError, DeclarationError, PenstockError, did_you_mean
from penstock.ledger import FileLedger
from penstock.ledger.archive import Archive
from penstock.offline.datasets import Recorded, read
from penstock.offline.simulate import Profile, simulate, submitted

_MOST_SIMULATED = 50_000  # events of a load test that differ in more than their id

GROUP = "penstock.detectors"
"""The entry-point group in which packages register their detectors."""


# ---------------------------------------------------------------- detectors


def installed() -> dict[str, EntryPoint]:
    """The detectors that installed packages register, by name."""
    return {found.name: found for found in sorted(entry_points(group=GROUP), key=lambda found: found.name)}


def load_detector(reference: str) -> Detector:
    """The detector that DETECTOR on the command line stands for.

    Args:
        reference: the name of an installed one (`banking`), a Python file (`mine.py`), or `mine.py:name` where the file
            declares several.

    Raises:
        ConfigurationError: there is none of this name.
        DeclarationError: the file cannot be loaded; names file and line.
    """
    path, _, name = reference.partition(":")
    if path.endswith(".py"):
        return _from_file(Path(path), name)
    known = installed()
    if reference not in known:
        raise ConfigurationError(
            f"there is no detector {reference!r}.{did_you_mean(reference, known)} A detector of your own is a file: mine.py"
        )
    loaded = known[reference].load()
    if not isinstance(loaded, Detector):
        raise DeclarationError(
            f"{known[reference].value}, registered as {reference!r}, is a {type(loaded).__name__}, no Detector"
        )
    return loaded


def load_detectors(references: tuple[str, ...]) -> list[Detector]:
    """Several detectors; their names must differ.

    Raises:
        ConfigurationError: two of them have one name.
    """
    detectors = [load_detector(reference) for reference in references]
    names = [detector.name for detector in detectors]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two of the detectors are called {name!r}; names must differ among those served together")
    return detectors


def _from_file(path: Path, name: str) -> Detector:
    module = _import(path)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Detector) and not key.startswith("_")}
    if not found:
        raise DeclarationError(f"{path} declares no detector; it needs one: detector = Detector(name=..., event=..., ...)")
    if name:
        return _named(found, name, path)
    if len(set(map(id, found.values()))) == 1:
        return next(iter(found.values()))
    raise ConfigurationError(f"{path} declares several detectors; name one: " + ", ".join(f"{path}:{key}" for key in found))


def _named(found: dict[str, Detector], name: str, path: Path) -> Detector:
    by_name = {detector.name: detector for detector in found.values()} | found
    if name not in by_name:
        raise ConfigurationError(f"{path} declares no detector {name!r}.{did_you_mean(name, by_name)}")
    return by_name[name]


def _import(path: Path) -> ModuleType:
    """Load a file as a module of its own; the same file loaded twice is one module."""
    if not path.is_file():
        files = [found.name for found in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise ConfigurationError(f"there is no file {path}.{did_you_mean(path.name, files)}")
    module_name = f"penstock_file_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # type annotations are resolved through it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise DeclarationError(_place(error, path)) from error
    return module


def _place(error: Exception, path: Path) -> str:
    """What went wrong in a detector file, and on which of its lines."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == path.name]
    message = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
    return f"{path}:{lines[-1]}: {message}" if lines else f"{path}: {message}"


def summary(detector: Detector) -> dict[str, Any]:
    """What a list of detectors says about one."""
    return {
        "description": (detector.event.__doc__ or "").strip().split("\n")[0],
        "features": len(detector.features),
        "models": len(detector.models),
        "rules": len(detector.rules),
    }


# ---------------------------------------------------------------- traffic


def profile_of(reference: str) -> Profile:
    """How the simulator makes events of a detector: the `profile` beside it.

    Raises:
        ConfigurationError: the detector comes without one.
    """
    detector = load_detector(reference)
    module = _module_of(reference)
    try:
        beside = importlib.import_module(f"{module.__name__}.profile") if hasattr(module, "__path__") else module
    except ModuleNotFoundError:
        beside = module
    profile = getattr(beside, "profile", None)
    if not isinstance(profile, Profile):
        raise ConfigurationError(
            f"detector {detector.name!r} cannot be simulated: it comes without a profile; detectors with one:"
            f" {', '.join(installed())}; or declare in its file: profile = Profile(...) from penstock.offline.simulate"
        )
    return profile


def _module_of(reference: str) -> ModuleType:
    path = reference.partition(":")[0]
    return _import(Path(path)) if path.endswith(".py") else importlib.import_module(installed()[reference].module)


def simulation(reference: str, **world: Any) -> Simulation:
    """What `penstock simulate` makes; without a number of events it has no end where a pace is given, else 10,000."""
    if world.get("events") is None and world.get("tps") is None:
        world["events"] = 10_000
    return Simulation(profile_of(reference), **world)


def read_recorded(reference: str, file: Path) -> Recorded:
    """A recorded file as events of a detector."""
    return read(file, load_detector(reference))


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


def send(url: str, events: Iterator[Item], *, tps: float | None, on_sent: Callable[[Sent], None]) -> Sent:
    """Send events to whatever the URL names."""
    return send_http(Address.of(url), events, tps=tps, on_sent=on_sent)


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as .parquet, .csv or .ndjson, as the path says.

    Raises:
        ConfigurationError: another ending, or a folder that is not there.
    """
    writers = {".parquet": frame.write_parquet, ".csv": frame.write_csv, ".ndjson": frame.write_ndjson}
    if path.suffix not in writers:
        raise ConfigurationError(
            f"{path}: cannot write {path.suffix or 'a file without ending'}; it ends in .parquet, .csv or .ndjson"
        )
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: there is no folder {path.parent}; make it first")
    writers[path.suffix](path)


def load_test(url: str, *, requests: int, concurrency: int, rate: float | None) -> Measured:
    """Measure a running service with simulated events of the detector that it serves.

    Raises:
        ConfigurationError: it serves none that can be simulated.
    """
    address = Address.of(url)
    profile = profile_of(_served(address))
    frame = simulate(profile, events=min(requests, _MOST_SIMULATED))
    bodies = [msgspec.json.encode(event)[1:] for event in submitted(profile, frame.drop(profile.id))]
    run = f'{{"{profile.id}":"load-{secrets.token_hex(4)}-'.encode()

    def make(number: int) -> bytes:
        body = run + b'%09d",' % number + bodies[number % len(bodies)]
        return request(address, "POST", "/predict", body)

    return measure(address, make, requests=requests, concurrency=concurrency, rate=rate)


def is_ready(url: str) -> bool:
    """Whether a service answers at this URL and can decide."""
    try:
        return fetch(Address.of(url), "/ready")[0] == 200
    except Unreachable:
        return False


def _served(address: Address) -> str:
    """The name of the first detector that a service serves and that can be simulated."""
    status, body = fetch(address, "/health")
    if status != 200:
        raise ConfigurationError(f"http://{address.host}:{address.port}/health answers {status}; is it a Penstock service?")
    served = list(msgspec.json.decode(body)["detectors"])
    known = [name for name in served if name in installed()]
    if not known:
        raise ConfigurationError(
            f"the service serves {', '.join(served)}, none of which can be simulated; known: {', '.join(installed())}"
        )
    return str(known[0])


# ---------------------------------------------------------------- history


@contextmanager
def open_archive(settings: Settings) -> Iterator[Archive]:
    """SQL over what a data folder holds, also while a service owns it.

    Raises:
        ConfigurationError: the folder holds no ledger.
    """
    with FileLedger(settings.data / "ledger", read_only=True) as ledger, Archive(ledger, settings.data / "archive") as archive:
        yield archive
