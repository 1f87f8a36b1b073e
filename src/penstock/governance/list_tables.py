"""The tables of lists, and shared queries."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import msgspec

from penstock.database.sqlite import Row, Schema

Kind = Literal["block", "allow", "watch"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The purpose of a list, for people; the rules that read the list determine the outcome."""

SCHEMA = Schema(
    "lists",
    [
        [
            """CREATE TABLE lists (detector TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, about TEXT NOT NULL,
            personal INTEGER NOT NULL, protected INTEGER NOT NULL, author TEXT NOT NULL, at_us BIGINT NOT NULL,
            revision INTEGER NOT NULL, changed_by TEXT NOT NULL, changed_us BIGINT NOT NULL, archived INTEGER NOT NULL,
            PRIMARY KEY (detector, name))""",
            """CREATE TABLE list_entries (detector TEXT NOT NULL, list TEXT NOT NULL, value TEXT NOT NULL,
            reason TEXT NOT NULL, author TEXT NOT NULL, added_us BIGINT NOT NULL, added_in INTEGER NOT NULL,
            expires_us BIGINT, removed_us BIGINT, removed_by TEXT, removed_in INTEGER,
            PRIMARY KEY (detector, list, value, added_in))""",
            "CREATE INDEX list_entries_by_round ON list_entries (detector, list, added_in DESC, value)",
            "CREATE INDEX list_entries_by_removal ON list_entries (detector, list, removed_in)",
            "CREATE INDEX list_entries_in_force ON list_entries (detector, list, expires_us) WHERE removed_in IS NULL",
        ],
        [
            "DROP INDEX list_entries_by_removal",
            "DROP INDEX list_entries_in_force",
            "CREATE INDEX list_entries_removed ON list_entries (detector, list, removed_in) WHERE removed_in IS NOT NULL",
        ],
    ],
)

LIST_COLUMNS = "name, kind, about, personal, protected, author, at_us, revision, changed_by, changed_us, archived"
ENTRY_COLUMNS = "value, reason, author, added_us, added_in, expires_us, removed_us, removed_by, removed_in"

Read = Callable[..., list[Row]]


class KeptList(msgspec.Struct, frozen=True):
    """A list. personal: its values are tokens of personal values. protected: every change needs another person's approval.

    revision: the number of changes, which identifies its content.
    """

    name: str
    kind: Kind
    about: str
    personal: bool
    protected: bool
    author: str
    at_us: int
    revision: int
    changed_by: str
    changed_us: int
    archived: bool


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A value on a list, with author, reason and expiry. added_in, removed_in: revisions of the list."""

    value: str
    reason: str
    author: str
    added_us: int
    added_in: int
    expires_us: int | None
    removed_us: int | None
    removed_by: str | None
    removed_in: int | None

    def state(self, now_us: int) -> str:
        """`in_force`, `expired` or `removed`."""
        if self.removed_us is not None:
            return "removed"
        return "expired" if self.expires_us is not None and self.expires_us <= now_us else "in_force"


class Counts(msgspec.Struct, frozen=True):
    """The numbers of values on a list, and of expired entries."""

    in_force: int = 0
    expired: int = 0


def names(read: Read, detector: str) -> list[str]:
    """The lists that rules may read."""
    rows = read("SELECT name FROM lists WHERE detector = :detector AND archived = 0", {"detector": detector})
    return sorted(str(row[0]) for row in rows)


def read_lists(read: Read, detector: str) -> list[KeptList]:
    """All lists of a detector, sorted by name."""
    sql = f"SELECT {LIST_COLUMNS} FROM lists WHERE detector = :detector ORDER BY name"  # noqa: S608  constants
    return [kept_list(row) for row in read(sql, {"detector": detector})]


def kept_list(row: Row) -> KeptList:
    """A list from its row."""
    fields: list[Any] = [*row[:3], bool(row[3]), bool(row[4]), *row[5:-1], bool(row[-1])]
    return KeptList(*fields)


def read_entries(read: Read, detector: str, name: str, where: str = "", **values: Any) -> list[Entry]:
    """Entries of a list, in order of addition."""
    sql = f"SELECT {ENTRY_COLUMNS} FROM list_entries WHERE detector = :detector AND list = :list"  # noqa: S608  constants
    rows = read(f"{sql} {where}", {"detector": detector, "list": name, **values})
    return [Entry(*row) for row in rows]
