"""The office's database from the settings."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from penstock.config import Settings
from penstock.database import FILE, Database, open_office
from penstock.errors import LedgerError, shown_url
from penstock.identity.closed_access import anybody_in, remember_closed


@contextmanager
def office_of(settings: Settings) -> Iterator[Database]:
    """The office's database in the settings, closed at the end; several processes may have it open.

    Raises:
        ConfigurationError: the setting names no database.
        MissingExtra: PostgreSQL needs a part of the package that is not installed.
    """
    with _opened(settings) as database:
        yield database
        if settings.data.is_dir():
            with suppress(LedgerError):
                if anybody_in(database):
                    remember_closed(settings.data)


def place_of(settings: Settings) -> str:
    """The location of the office, for messages."""
    return str(settings.data / FILE) if settings.office is None else shown_url(settings.office)


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    if settings.office is None:
        with open_office(settings.data) as database:
            yield database
        return
    from penstock.adapters.postgres import PostgresDatabase

    with closing(PostgresDatabase(settings.office)) as shared:
        yield shared


def has_office(settings: Settings) -> bool:
    """Whether an office exists: a shared database always does."""
    return settings.office is not None or (settings.data / FILE).exists()
