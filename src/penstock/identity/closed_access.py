"""A marker outside the office that access was restricted: a service that lost its office must not become open again."""

from pathlib import Path

from penstock.database.sqlite import Database
from penstock.errors import ConfigurationError, LedgerError
from penstock.identity.keys import Keys
from penstock.identity.users import Users
from penstock.private_files import make_private, write_private

FILE = "access.closed"
"""The marker file in the data folder."""

_TEXT = b"Users or keys were made for this service. While this file is here it does not start without any.\n"


def remember_closed(data: Path) -> None:
    """Store that somebody was given access.

    Raises:
        LedgerError: the device refuses.
    """
    path = data / FILE
    try:
        if not path.exists():
            make_private(data)
            write_private(path, _TEXT)
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror or error}; check the folder and its device") from error


def check_closed(data: Path, office: str, *, anybody: bool) -> None:
    """Refuse an office that has lost its users and keys. office: its location. anybody: whether it has some.

    Raises:
        ConfigurationError: it has none, and access was restricted.
    """
    if not anybody and (data / FILE).exists():
        raise ConfigurationError(
            f"this service was closed, as {data / FILE} says, but {office} holds no user and no key: it was lost or emptied. "
            "Restore it from a backup; or, to begin anew, make the first key: penstock keys add NAME --role administrator"
        )


def anybody_in(database: Database) -> bool:
    """Whether anybody was ever given access."""
    return bool(Keys(database).all() or Users(database).all())
