"""Engines over a data folder or in memory, and what a data folder holds."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.assemble.detectors import installed, load_detector
from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.errors import ConfigurationError, DataError
from penstock.ledger import FileLedger
from penstock.offline.datasets import Recorded

if TYPE_CHECKING:
    from penstock.ledger.archive import Archive

_CHUNK = 1024  # rows of a record: a label found in the log costs the reading of one


def open_engine(detector: Detector, settings: Settings, *, wait_for_models: bool = False) -> Engine:
    """An engine over the data folder.

    Raises:
        BundleError: a declared model has no bundle, unless the engine shall wait for one.
        FolderInUse: another process owns the folder.
    """
    return Engine(
        detector,
        models=settings.models_folder,
        data=settings.data,
        wait_for_models=wait_for_models,
        memory_limit_gb=settings.memory_limit_gb,
        segment_mb=settings.ledger_segment_mb,
        snapshot_every_s=settings.snapshot_every_s,
        personal_key=_personal_key(settings.personal_key_file),
    )


def engine_in_memory(detector: Detector, settings: Settings) -> Engine:
    """An engine with an empty state, which keeps nothing."""
    return Engine(
        detector,
        models=settings.models_folder,
        memory_limit_gb=settings.memory_limit_gb,
        personal_key=_personal_key(settings.personal_key_file),
    )


def openers(detectors: Sequence[Detector], settings: Settings) -> dict[str, Callable[[], Engine]]:
    """What opens an engine for each detector, by name.

    A detector whose models are not trained yet is served, and is not ready.
    """
    return {detector.name: partial(open_engine, detector, settings, wait_for_models=True) for detector in detectors}


def load_history(engine: Engine, recorded: Recorded, *, progress: Callable[[float], None] = lambda _share: None) -> int:
    """Warm an engine's state from recorded events; the number of those that were new."""
    arrived = "arrived_at" if "arrived_at" in recorded.frame.columns else None
    new = done = 0
    for part in recorded.frame.iter_slices(_CHUNK):
        new += engine.load(engine.reader.read_frame(part, arrived=arrived))
        done += len(part)
        progress(done / len(recorded.frame))
    engine.ledger.flush()
    return new


def _personal_key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the key for personal fields cannot be read from {path}: {error.strerror}") from error
    if len(key) < _SHORTEST_KEY:
        raise ConfigurationError(f"{path} holds {len(key)} bytes; a key for personal fields has at least {_SHORTEST_KEY}")
    return key


_SHORTEST_KEY = 16


@contextmanager
def open_archive(settings: Settings) -> "Iterator[Archive]":
    """SQL over what a data folder holds, also while a service owns it.

    Raises:
        ConfigurationError: the folder holds no ledger.
    """
    from penstock.ledger.archive import Archive  # brings DuckDB, which nothing else here needs

    with FileLedger(settings.data / "ledger", read_only=True) as ledger, Archive(ledger, settings.data / "archive") as archive:
        yield archive


@contextmanager
def recorded_decisions(settings: Settings, transaction_id: str, reference: str | None) -> Iterator[tuple[Detector, FileLedger]]:
    """The detector that decided about a transaction, and the ledger of the data folder, to read.

    Args:
        settings: name the data folder.
        transaction_id: the transaction.
        reference: the DETECTOR that decided; looked for among those of this folder unless given.

    Raises:
        ConfigurationError: the folder holds no ledger, or its detector is not installed.
        DataError: nobody decided about it.
    """
    with FileLedger(settings.data / "ledger", read_only=True) as ledger:
        if reference is not None:
            yield load_detector(reference), ledger
            return
        names = {version.detector for version in ledger.tables.versions()}
        found = [name for name in sorted(names) if ledger.find(name, transaction_id) is not None]
        if not found:
            raise DataError(f"there is no decision about {transaction_id!r} in {settings.data}")
        if found[0] not in installed():
            raise ConfigurationError(
                f"{transaction_id!r} was decided by {found[0]!r}, which is not installed; name its file: --detector FILE.py"
            )
        yield load_detector(found[0]), ledger
