"""Schema migrations: numbered SQL files, each applied once, in order, in one transaction.

Migrating takes a lock, so that several processes may try at once. Each applied file is recorded with a checksum of its
text; a file that has changed since is an error.
"""

import hashlib
import re
from dataclasses import dataclass, field
from importlib.resources import files

from penstock.adapters.postgres.connection import Connection, connect, explained, place_of
from penstock.errors import ConfigurationError

_LOCK = 0x50656E73  # "Pens": the key of the advisory lock of those who migrate
_KINDS = ("day", "month")


@dataclass(frozen=True)
class Migration:
    """One file. version: the number its name begins with."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Status:
    """The state of a server. applied, pending: names of migrations; logs: the position of each, by name."""

    place: str
    applied: list[str]
    pending: list[str]
    partitions: list[str] = field(default_factory=list)
    logs: dict[str, dict[str, int]] = field(default_factory=dict)
    size_bytes: int = 0


def known() -> list[Migration]:
    """The migrations that this version of Penstock brings, in order.

    >>> known()[0].name
    '0001_ledger.sql'
    """
    found = [path for path in files(__name__).iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", path.name)]
    return [
        Migration(int(path.name[:4]), path.name, path.read_text("utf-8")) for path in sorted(found, key=lambda path: path.name)
    ]


def create(url: str, *, partitions: str = "day") -> list[str]:
    """Create the schema where it is missing, and migrate it; returns the names of applied migrations.

    partitions: `day` or `month`: how long a partition lasts, which is the step of retention; kept for good.

    Raises:
        ConfigurationError: no URL, or a kind of partitions that is not known.
        LedgerError: the server does not answer, or refuses.
    """
    if partitions not in _KINDS:
        raise ConfigurationError(f"partitions by {partitions!r} are not known; use one of: {', '.join(_KINDS)}")
    return _apply(url, partitions)


def migrate(url: str) -> list[str]:
    """Migrate an existing schema; returns the names of applied migrations.

    Raises:
        ConfigurationError: there is no ledger, it is newer than this version of Penstock, or it was made by other texts.
        LedgerError: the server does not answer, or refuses.
    """
    return _apply(url, None)


def _apply(url: str, partitions: str | None) -> list[str]:
    place = place_of(url)
    with explained(place), connect(url) as db, db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if partitions is None and not _exists(db):
            raise ConfigurationError(f"{place} holds no ledger; make one: penstock ledger create --ledger URL")
        if not _exists(db):  # asked first, since a role that may not create schemas may use one
            db.execute("CREATE SCHEMA IF NOT EXISTS penstock")
        db.execute(
            "CREATE TABLE IF NOT EXISTS penstock.migrations (version integer PRIMARY KEY, name text NOT NULL,"
            " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        pending = _pending(db, place)
        for migration in pending:
            db.execute(migration.text.encode())
            db.execute(
                "INSERT INTO penstock.migrations (version, name, checksum) VALUES (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
        if partitions is not None:
            db.execute("INSERT INTO penstock.options VALUES ('partitions', %s) ON CONFLICT DO NOTHING", (partitions,))
    return [migration.name for migration in pending]


def _exists(db: Connection) -> bool:
    return db.execute("SELECT to_regclass('penstock.migrations') IS NOT NULL").fetchall()[0][0] is True


def _pending(db: Connection, place: str) -> list[Migration]:
    """Migrations to apply; raises if the applied ones differ from the known ones."""
    applied: dict[int, str] = dict(db.execute("SELECT version, checksum FROM penstock.migrations").fetchall())
    migrations = known()
    newest = migrations[-1].version
    if any(version > newest for version in applied):
        raise ConfigurationError(
            f"the ledger in {place} has version {max(applied)}, this Penstock knows {newest}; use a newer Penstock"
        )
    for migration in migrations:
        if migration.version in applied and applied[migration.version] != migration.checksum:
            raise ConfigurationError(
                f"the ledger in {place} was made with another text of {migration.name}; it cannot be brought up to date:"
                " create a new database, or use the Penstock it was made with"
            )
    return [migration for migration in migrations if migration.version not in applied]


def status(url: str) -> Status:
    """The applied and pending migrations; changes nothing.

    Raises:
        LedgerError: the server does not answer, or refuses.
    """
    place = place_of(url)
    with explained(place), connect(url) as db:
        if not _exists(db):
            return Status(place, [], [migration.name for migration in known()])
        pending = [migration.name for migration in _pending(db, place)]
        applied = [name for (name,) in db.execute("SELECT name FROM penstock.migrations ORDER BY version").fetchall()]
        if not applied:
            return Status(place, applied, pending)
        logs = db.execute("SELECT name, fence, position, next_seq FROM penstock.logs ORDER BY name").fetchall()
        [(size,)] = db.execute(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
            " WHERE relnamespace = 'penstock'::regnamespace AND relkind = 'r'"
        ).fetchall()
        periods = db.execute("SELECT partition FROM penstock.periods ORDER BY first_day").fetchall()
        return Status(
            place,
            applied,
            pending,
            [name for (name,) in periods],
            {name: {"fence": fence, "position": position, "next_seq": seq} for name, fence, position, seq in logs},
            size,
        )


def check(db: Connection, place: str) -> None:
    """Refuse a server whose schema is not that of this version.

    Raises:
        ConfigurationError: naming the command to run.
    """
    if not _exists(db):
        raise ConfigurationError(f"{place} holds no ledger; make one: penstock ledger create --ledger URL")
    if _pending(db, place):
        raise ConfigurationError(
            f"the ledger in {place} is older than this Penstock; run: penstock ledger migrate --ledger URL"
        )
