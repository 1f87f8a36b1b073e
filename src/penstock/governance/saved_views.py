"""Saved views of the console: a page with its filters and columns under a name, for one user or for all."""

import secrets

import msgspec

from penstock import audit
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row, TableSchema
from penstock.errors import Conflict, NotFound

SCHEMA = TableSchema(
    "views",
    [
        [
            """CREATE TABLE views (id TEXT PRIMARY KEY, page TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL,
    shared BIGINT NOT NULL, search TEXT NOT NULL, at_us BIGINT NOT NULL)""",
            "CREATE UNIQUE INDEX views_by_name ON views (owner, page, name)",
        ]
    ],
)

MOST = 200
"""Views of one owner."""

_COLUMNS = "id, page, name, owner, shared, search, at_us"


class SavedView(msgspec.Struct, frozen=True):
    """A saved view. page: its path in the console; search: the filters, columns and order of its address, by name."""

    id: str
    page: str
    name: str
    owner: str
    shared: bool
    search: dict[str, str]
    at_us: int


class SavedViews:
    """Stores saved views. Thread-safe; changes of shared ones are audited in the same transaction.

    >>> from penstock.database import SqliteDatabase
    >>> views = SavedViews(SqliteDatabase())
    >>> _ = views.save("/transactions", "large", {"sort": "-amount"}, owner="ana", shared=True)
    >>> [each.name for each in views.of("bob")]
    ['large']
    """

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database, self._clock = database, clock

    def of(self, reader: str) -> list[SavedView]:
        """The views that a user may open: their own and shared ones, by page and name."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM views WHERE owner = :reader OR shared = 1 ORDER BY page, name, owner",  # noqa: S608 - names of columns
            {"reader": reader},
        )
        return [_view(row) for row in rows]

    def save(self, page: str, name: str, search: dict[str, str], *, owner: str, shared: bool) -> SavedView:
        """Save a view; the owner's view of the same page and name is replaced.

        Raises:
            Conflict: the owner has `MOST` others.
        """
        made = SavedView(secrets.token_hex(6), page, name, owner, shared, search, self._clock())
        with self._database.write() as transaction:
            found = transaction.run(
                f"SELECT {_COLUMNS} FROM views WHERE owner = :owner",  # noqa: S608 - names of columns
                {"owner": owner},
            )
            old = next((each for each in map(_view, found) if (each.page, each.name) == (page, name)), None)
            if old is not None:
                transaction.run("DELETE FROM views WHERE id = :id", {"id": old.id})
            elif len(found) >= MOST:
                raise Conflict(f"{owner} has {MOST} saved views, which is the maximum; remove one first")
            transaction.run(
                f"INSERT INTO views ({_COLUMNS}) VALUES (:id, :page, :name, :owner, :shared, :search, :at_us)",  # noqa: S608 - names of columns
                {**msgspec.structs.asdict(made), "shared": int(shared), "search": msgspec.json.encode(search).decode()},
            )
            if shared or (old is not None and old.shared):
                self._note(transaction, "views.share" if shared else "views.unshare", made, owner)
        return made

    def remove(self, id: str, *, who: str, any_owner: bool) -> SavedView:
        """Remove a view. any_owner: shared views of others, too.

        Raises:
            NotFound: `who` may remove no view of this name.
        """
        with self._database.write() as transaction:
            rows = transaction.run(f"SELECT {_COLUMNS} FROM views WHERE id = :id", {"id": id})  # noqa: S608 - names of columns
            found = next(map(_view, rows), None)
            if found is None or (found.owner != who and not (found.shared and any_owner)):
                raise NotFound(
                    f"{who} has no saved view {id[:100]!r}; a shared one is removed by its owner or an administrator"
                )
            transaction.run("DELETE FROM views WHERE id = :id", {"id": id})
            if found.shared:
                self._note(transaction, "views.remove", found, who)
        return found

    def _note(self, transaction: DatabaseTransaction, action: str, view: SavedView, who: str) -> None:
        details = {"page": view.page, "name": view.name, "owner": view.owner}
        audit.note(transaction, who=who, action=action, subject=f"views/{view.id}", details=details, at_us=self._clock())


def _view(row: Row) -> SavedView:
    found, page, name, owner, shared, search, at_us = row
    return SavedView(found, page, name, owner, bool(shared), msgspec.json.decode(search, type=dict[str, str]), at_us)
