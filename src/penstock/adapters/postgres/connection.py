"""Connections to PostgreSQL, and the mapping of its errors to those of a ledger."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from penstock.errors import ConfigurationError, LedgerError, LedgerFull, shown_url

Connection = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")

CONNECTION_LOST = (psycopg.OperationalError, psycopg.InterfaceError)
"""What is raised when the server cannot be reached any more, or refuses for now."""

_ANSWER_WITHIN_S = 5
_USUAL: Mapping[str, Any] = {
    "connect_timeout": _ANSWER_WITHIN_S,
    "application_name": "penstock",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# a plan made for the values at hand costs more than it saves: every statement here has one good plan
_SESSION = (
    b"SET search_path = penstock; SET timezone = 'UTC'; SET plan_cache_mode = force_generic_plan;"
    # let the server notice, too, that this process is gone: it holds the lock of the owner until then
    b" SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;"
    # what is acknowledged survives a crash of the server, whatever its administrator has set for other clients
    b" SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


def place_of(url: str) -> str:
    """The server and database of a URL, for messages: without user and password.

    >>> place_of("postgresql://someone:secret@db:5433/ledger")
    'postgresql://db:5433/ledger'

    Raises:
        ConfigurationError: this is no URL of PostgreSQL.
    """
    found = _parts(url)
    host, port = found.get("host", "localhost"), found.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{found.get('dbname', '')}"


def _parts(url: str) -> dict[str, Any]:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            f"{shown_url(url)!r} is no URL of a database; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.Error as error:
        shown = url.partition("://")[0] + "://..."
        raise ConfigurationError(f"the URL {shown} cannot be read: {error}") from error


def connect(url: str) -> Connection:
    """A new connection, in autocommit mode by default.

    Raises:
        ConfigurationError: this is no URL of PostgreSQL.
        psycopg.OperationalError: the server does not answer, or refuses.
    """
    given = {name: value for name, value in _USUAL.items() if name not in _parts(url)}
    db = psycopg.connect(url, autocommit=True, **given)
    try:
        db.execute(_SESSION)
    except BaseException:
        db.close()
        raise
    return db


def trouble_of(error: psycopg.Error, place: str) -> LedgerError:
    """The ledger error for an error of the server, with the remedy."""
    if isinstance(error, psycopg.errors.DiskFull):
        return LedgerFull(
            f"no room for {place}: {_said(error)}; nothing is written until there is. "
            "Free space on the server's device; work goes on by itself"
        )
    if isinstance(error, CONNECTION_LOST):
        return LedgerError(
            f"{place} does not answer: {_said(error)}; nothing is written until it does. "
            "Check the server; writing is tried again by itself"
        )
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName | psycopg.errors.UndefinedColumn):
        return LedgerError(
            f"{place} holds no ledger of this version ({_said(error)}); run: penstock ledger create --ledger URL"
        )
    return LedgerError(f"{place} refuses: {_said(error)}; nothing is written until it does not")


def _said(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Let errors of the server be those of a ledger.

    Raises:
        LedgerFull: the server's device has no room.
        LedgerError: it does not answer, or refuses.
    """
    try:
        yield
    except psycopg.Error as error:
        raise trouble_of(error, place) from error


class Shared:
    """One connection that threads take turns with; made again when it is lost."""

    def __init__(self, url: str) -> None:
        self.place = place_of(url)
        self._url = url
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False

    def use(self, work: Callable[[Connection], T]) -> T:
        """Do something that may be done twice: once more on a fresh connection where the present one turns out to be dead.

        Raises:
            LedgerFull: the server's device has no room.
            LedgerError: it does not answer, or refuses.
        """
        with self._lock, explained(self.place):
            if self._closed:
                raise LedgerError(f"the ledger in {self.place} is closed")
            known = self._connection is not None
            try:
                return work(self._alive())
            except CONNECTION_LOST:
                self._drop()
                if not known:
                    raise
            return work(self._alive())

    def rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.use(lambda db: db.execute(statement.encode(), values, prepare=True).fetchall())

    def _alive(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close; twice is fine."""
        with self._lock:
            self._closed = True
            self._drop()
