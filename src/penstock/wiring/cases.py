"""The case store in the settings."""

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.wiring.database import has_office, office_of


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
