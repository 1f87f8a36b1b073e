"""The office: from the settings to the database that holds what people decide and change."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from penstock.config import Settings
from penstock.office import FILE, Database, open_office


@contextmanager
def office_of(settings: Settings) -> Iterator[Database]:
    """The office's database that the settings name, closed in the end; several processes may have it open.

    Raises:
        ConfigurationError: the setting names no database.
        MissingExtra: PostgreSQL needs a part of the package that is not installed.
    """
    if settings.office is None:
        with open_office(settings.data) as database:
            yield database
        return
    from penstock.adapters.postgres import PostgresDatabase

    with closing(PostgresDatabase(settings.office)) as shared:
        yield shared


def has_office(settings: Settings) -> bool:
    """Whether there is one already: a database that is shared always is."""
    return settings.office is not None or (settings.data / FILE).exists()
