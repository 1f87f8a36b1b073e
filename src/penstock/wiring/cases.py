"""Cases: the case store from the settings, and the sink that fills it in a service."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.errors import ConfigurationError, PenstockError
from penstock.ledger import Ledger
from penstock.stream.cases import CaseSink
from penstock.stream.sinks import Feeding, feed_beside
from penstock.wiring.database import has_office, office_of
from penstock.wiring.stores import name_of

_log = logging.getLogger("penstock.cases")


class CaseWork:
    """The cases of a service, opened from the ledger of its engines or of a replica.

    office: closed by whoever opened it, after this.

    Raises:
        LedgerError: the database cannot be used.
    """

    def __init__(self, detectors: Sequence[Detector], settings: Settings, office: Database) -> None:
        self._names = {detector.name for detector in detectors}
        self._sample = settings.case_sample
        self._engines: dict[str, Engine] = {}
        self._feeding: Feeding | None = None
        self.cases = Cases(office, lock_minutes=settings.case_lock_minutes)

    def watch(self, engine: Engine) -> None:
        """Open cases for this engine's decisions."""
        self._engines[engine.detector.name] = engine

    def start(self, ledger: Ledger) -> None:
        """Follow a ledger from the stored position; once, and not before every engine is open."""
        if self._feeding is None and self._names <= self._engines.keys():
            sink = CaseSink(self.cases, name_of(ledger), self._engines.get, sample=self._sample, ledger=ledger)
            self._feeding = feed_beside(sink, ledger, 0, _ended)

    @property
    def feeding(self) -> Feeding | None:
        """The running sink; None before every engine is open."""
        return self._feeding

    def close(self) -> None:
        """Process durable records, and stop; idempotent."""
        if self._feeding is not None:
            self._feeding.finish(5.0)
        self.stop()

    def stop(self) -> None:
        """Stop at once; the rest is processed after the next start."""
        if self._feeding is not None:
            self._feeding.close()
            self._feeding = None


@contextmanager
def open_cases(settings: Settings) -> Iterator[Cases]:
    """The case store of the data folder, also while a service runs over it.

    Raises:
        ConfigurationError: the folder holds no data.
        LedgerError: the database cannot be used.
    """
    if not has_office(settings):
        raise ConfigurationError(f"{settings.data} holds no cases; a service makes them there: penstock serve --data DIR")
    with office_of(settings) as office:
        yield Cases(office, lock_minutes=settings.case_lock_minutes)


def _ended(error: PenstockError) -> None:
    _log.error("no more cases are opened: %s", error)
