"""Engines over a data folder or in memory, and read access to a data folder."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine, OnPersonal, warm_up
from penstock.engine.startup import shipped_ensemble
from penstock.errors import ConfigurationError, DataError
from penstock.ledger import Ledger
from penstock.ledger.archive import Archive
from penstock.models import Ensemble, champion
from penstock.offline.datasets import Recorded
from penstock.privacy.vault_writer import VaultWriter
from penstock.private_files import personal_key
from penstock.stream.cases import CaseWork
from penstock.wiring.alerts import Alerting
from penstock.wiring.detectors import installed, load_detector
from penstock.wiring.governance import with_stored_features
from penstock.wiring.stores import EmbeddedStores, ledger_to_read, ledgers_to_read, note_losses, open_ledger, several_logs

_CHUNK = 1024  # rows of a record: applying a label found in the log costs reading one


def open_engine(
    detector: Detector,
    settings: Settings,
    *,
    wait_for_models: bool = False,
    ledger: Ledger | None = None,
    on_personal: OnPersonal | None = None,
    on_close: Callable[[], None] = lambda: None,
) -> Engine:
    """An engine over the data folder, compiled and ready; over a shared ledger, if one is given.

    on_personal: stores original values of personal fields.

    Raises:
        BundleError: a declared model has no bundle, unless the engine shall wait for one.
        FolderInUse: another process owns the folder.
    """
    owned, detector = ExitStack(), with_stored_features(detector, settings)
    if ledger is None and settings.ledger is not None:
        ledger = owned.enter_context(open_ledger([detector], settings))

    def left() -> None:
        owned.close()
        on_close()

    try:
        engine = Engine(
            detector,
            models=models_of(detector, settings, keep_in=settings.models_folder),
            data=settings.data,
            ledger=ledger,
            on_close=left,
            wait_for_models=wait_for_models,
            memory_limit_gb=settings.memory_limit_gb,
            segment_mb=settings.ledger_segment_mb,
            snapshot_every_s=settings.snapshot_every_s,
            personal_key=personal_key(settings.personal_key_file),
            on_personal=on_personal,
            quarantine_kept=settings.quarantine_kept,
        )
    except BaseException:
        owned.close()
        raise
    warm_up(engine)
    if settings.index_keys:
        engine.index_keys()
    return engine


def models_of(detector: Detector, settings: Settings, *, keep_in: Path | None = None) -> Path | Ensemble:
    """The bundle folder in the settings; the prebuilt models while it has no champion of the detector.

    keep_in: gets a copy of the prebuilt models.
    """
    folder = settings.models_folder
    if not detector.models or champion(folder, detector.name) is not None:
        return folder
    return shipped_ensemble(detector, keep_in) or folder


def engine_in_memory(detector: Detector, settings: Settings, *, key: bytes | None = None) -> Engine:
    """An engine with an empty state, which stores nothing. key: of personal fields; random unless given."""
    return Engine(
        detector,
        models=models_of(detector, settings),
        memory_limit_gb=settings.memory_limit_gb,
        personal_key=key,
    )


def openers(
    detectors: Sequence[Detector],
    settings: Settings,
    *,
    alerting: Alerting | None = None,
    work: CaseWork | None = None,
    keeping: VaultWriter | None = None,
    stores: EmbeddedStores | None = None,
) -> dict[str, Callable[[], Engine]]:
    """Functions that open an engine for each detector, by name; alerting, work, stores: follow its decisions.

    keeping: stores original values of personal fields.

    A detector whose models are not trained yet is served, and is not ready.
    """
    shared = _SharedLedger(settings, detectors, alerting, work, keeping, stores)
    return {detector.name: partial(shared.open_engine, detector) for detector in detectors}


class _SharedLedger:
    """The ledger and archive in the settings, opened for the first of several detectors and closed after the last."""

    def __init__(
        self,
        settings: Settings,
        detectors: Sequence[Detector],
        alerting: Alerting | None,
        work: CaseWork | None,
        keeping: VaultWriter | None,
        stores: EmbeddedStores | None,
    ) -> None:
        self._settings = settings
        self._detectors = detectors
        self._users = len(detectors)
        self._alerting = alerting
        self._work = work
        self._keeping = keeping
        self._ledger: Ledger | None = None
        self._archive: Archive | None = None
        self._stores = stores or EmbeddedStores(settings)
        self._lock = threading.Lock()

    def open_engine(self, detector: Detector) -> Engine:
        with self._lock:  # one after the other: they append to one log
            if self._ledger is None:
                self._ledger = open_ledger(self._detectors, self._settings)
                if self._work is not None:
                    note_losses(self._ledger, self._work.cases.database)
                self._archive = Archive(self._ledger, self._settings.data / "archive")
                self._archive.start()
            engine = open_engine(
                detector,
                self._settings,
                wait_for_models=True,
                ledger=self._ledger,
                on_personal=handing_on(self._keeping, detector),
                on_close=self._left,
            )
            if self._alerting is not None:
                self._alerting.watch(engine)
                self._alerting.start(self._ledger)
            if self._work is not None:
                self._work.watch(engine)
                self._work.start(self._ledger)
            self._stores.follow(engine, self._ledger)
            return engine

    def _left(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._ledger is not None and self._archive is not None:
                if self._alerting is not None:
                    self._alerting.close()
                if self._work is not None:
                    self._work.close()
                self._stores.close()
                self._archive.close()
                self._ledger.close()


def load_history(engine: Engine, recorded: Recorded, *, progress: Callable[[float], None] = lambda _share: None) -> int:
    """Warm an engine's state from recorded events; returns the number of new ones."""
    arrived = "arrived_at" if "arrived_at" in recorded.frame.columns else None
    new = done = 0
    for part in recorded.frame.iter_slices(_CHUNK):
        new += engine.load(engine.reader.read_frame(part, arrived=arrived))
        done += len(part)
        progress(done / len(recorded.frame))
    engine.ledger.flush()
    return new


def handing_on(keeping: VaultWriter | None, detector: Detector) -> OnPersonal | None:
    """The function that stores original personal values of this detector's events."""
    return None if keeping is None or not detector.schema.personal else partial(keeping.enqueue, detector.name)


@contextmanager
def open_archive(settings: Settings, detector: str | None = None) -> Iterator[Archive]:
    """SQL over a data folder or a database, also while a service or worker writes it.

    detector: whose decisions are wanted, if a database holds several logs.

    Raises:
        ConfigurationError: there is no ledger, or there are several logs.
    """
    with ledger_to_read(settings, detector) as ledger, Archive(ledger, settings.data / "archive") as archive:
        yield archive


@contextmanager
def recorded_decisions(
    settings: Settings, transaction_id: str | None, reference: str | None
) -> Iterator[tuple[Detector, Ledger]]:
    """The detector that decided a transaction, and the ledger of the data folder, to read.

    Args:
        settings: name the data folder.
        transaction_id: the transaction; None where any will do.
        reference: the DETECTOR that decided; searched among those of this folder unless given.

    Raises:
        ConfigurationError: the folder holds no ledger, or its detector is not installed.
        DataError: the transaction is unknown.
    """
    detector = None if reference is None else load_detector(reference)
    with ledgers_to_read(settings) as ledgers:
        found = [
            (name, log)
            for log, ledger in ledgers.items()
            for name in ([detector.name] if detector else sorted({version.detector for version in ledger.tables.versions()}))
            if transaction_id is None or ledger.find(name, transaction_id) is not None
        ]
        about = "a decision" if transaction_id is None else f"a decision about {transaction_id!r}"
        if not found:
            raise DataError(f"there is no {about.removeprefix('a ')} in {_place(settings, ledgers)}")
        if transaction_id is None and len({name for name, _ in found}) > 1:
            names = ", ".join(sorted({name for name, _ in found}))
            raise ConfigurationError(f"{_place(settings, ledgers)} holds decisions of {names}; name one: --detector NAME")
        if len(ledgers) > 1 and len({log for _, log in found}) > 1:
            raise several_logs(about, dict.fromkeys(log for _, log in found))
        name, log = found[0]
        if detector is None and name not in installed():
            raise ConfigurationError(f"{about} was made by {name!r}, which is not installed; name its file: --detector FILE.py")
        yield detector or load_detector(name), ledgers[log]


def _place(settings: Settings, logs: Collection[str]) -> str:
    if settings.ledger is None:
        return str(settings.data)
    return f"the database of the setting `ledger` (logs: {', '.join(logs)})"
