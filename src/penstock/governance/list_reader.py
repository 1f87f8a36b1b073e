"""Lists as stored, and their queries: entries, authors, and the content at any revision."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, TableSchema
from penstock.errors import MalformedEvent, did_you_mean
from penstock.expressions import ListMember, Members
from penstock.expressions.members import ALWAYS_US, NEVER_US
from penstock.governance.versions import FILE, Read, Transition, VersionKind, VersionStore

TOKEN = "tok_"  # noqa: S105  what tokens begin with
"""Prefix of the token of a personal value; see `penstock.ingest.personal`."""

PAGE = 200
_STATES = {
    "in_force": "AND removed_us IS NULL AND coalesce(expires_us, :now + 1) > :now",
    "expired": "AND removed_us IS NULL AND expires_us <= :now",
    "removed": "AND removed_us IS NOT NULL",
    "all": "",
}

Purpose = Literal["block", "allow", "watch"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
"""The purpose of a list, for people; the rules that read the list determine the outcome."""

SCHEMA = TableSchema(
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

ENTRY_COLUMNS = "value, reason, author, added_us, added_in, expires_us, removed_us, removed_by, removed_in"


class StoredList(msgspec.Struct, frozen=True):
    """A list. personal: its values are tokens of personal values. protected: every change needs another person's approval.

    revision: the number of changes, which identifies its content.
    """

    name: str
    kind: Purpose
    about: str
    personal: bool
    protected: bool
    author: str
    at_us: int
    revision: int
    changed_by: str
    changed_us: int
    archived: bool

    @property
    def state(self) -> str:
        """`active` or `archived`."""
        return "archived" if self.archived else "active"


class ListEntry(msgspec.Struct, frozen=True, gc=False):
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


LIST = VersionKind(
    name="list",
    struct=StoredList,
    table="lists",
    key=("detector", "name"),
    subject="lists/{0.name}",
    resets={},
    audited=(),
    json=(),
    order="name",
    revisions=("rule_revisions",),
    schemas=(SCHEMA,),
    transitions={
        "create": Transition(("archived",), "active", sets={"archived": False}),
        "archive": Transition(("active",), "archived", sets={"archived": True}),
    },
)


def names(read: Read, detector: str) -> list[str]:
    """The lists that rules may read."""
    rows = read("SELECT name FROM lists WHERE detector = :detector AND archived = 0", {"detector": detector})
    return sorted(str(row[0]) for row in rows)


def read_entries(read: Read, detector: str, name: str, where: str = "", **values: Any) -> list[ListEntry]:
    """Entries of a list, in order of addition."""
    sql = f"SELECT {ENTRY_COLUMNS} FROM list_entries WHERE detector = :detector AND list = :list"  # noqa: S608  constants
    rows = read(f"{sql} {where}", {"detector": detector, "list": name, **values})
    return [ListEntry(*row) for row in rows]


class ListReader(VersionStore[StoredList]):
    """Reads the lists of one detector.

    Args:
        database: of the office; missing tables of lists are created.
        detector: the detector's name.
        token: tokenizes a personal value, if the secret is available.
    """

    kind = LIST

    def __init__(
        self,
        database: Database,
        detector: str,
        clock: Clock = system_clock,
        *,
        token: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(database, detector, clock)
        self._token = token

    def one(self, name: str) -> StoredList:
        """A list.

        Raises:
            NotFound: there is no list with this name.
        """
        return self.known(name)[0]

    def counts(self) -> Mapping[str, Counts]:
        """The number of values on each list now."""
        now = self.clock()
        rows = self.database.read(
            "SELECT list, sum(CASE WHEN coalesce(expires_us, :now + 1) > :now THEN 1 ELSE 0 END), count(*) FROM list_entries"
            " WHERE detector = :detector AND removed_in IS NULL GROUP BY list",
            {"detector": self.detector, "now": now},
        )
        return {str(name): Counts(int(held), int(kept) - int(held)) for name, held, kept in rows}

    def entries(
        self,
        name: str,
        state: str = "in_force",
        *,
        search: str = "",
        as_sent: bool = True,
        limit: int = PAGE,
        before: str | None = None,
    ) -> tuple[list[ListEntry], str | None]:
        """Entries of a list, newest first, and the value of `before` for the next page.

        state: in_force, expired, removed or all. search: a prefix of their values. as_sent: also search for the token of
        the original value; otherwise only by token, so that nobody finds out by trying what a token stands for.

        Raises:
            NotFound: there is no such list.
            MalformedEvent: no such state, or `before` is no cursor.
        """
        kept = self.one(name)
        if state not in _STATES:
            raise MalformedEvent(f"no entry is in the state {state!r}.{did_you_mean(state, _STATES)}", "state")
        values: dict[str, Any] = {"now": self.clock()} if ":now" in _STATES[state] else {}
        where = _STATES[state]
        if search:
            wanted = self._sought(kept, search, as_sent=as_sent)
            where += " AND substr(value, 1, :length) = :search"
            values |= {"length": len(wanted), "search": wanted}
        if before is not None:
            where += " AND (added_in < :round OR (added_in = :round AND value > :value))"
            values |= _place(before)
        where += " ORDER BY added_in DESC, value LIMIT :limit"
        found = read_entries(self.database.read, self.detector, name, where, limit=limit + 1, **values)
        page = found[:limit]
        return page, f"{page[-1].added_in}:{page[-1].value}" if len(found) > limit else None

    def history(self, name: str) -> list[ListEntry]:
        """All entries that were ever on a list, in order of their addition."""
        self.one(name)
        return read_entries(self.database.read, self.detector, name, "ORDER BY added_in, value")

    def find(self, value: str, *, as_sent: bool = True) -> dict[str, list[ListEntry]]:
        """The entries of a value by list, newest first. as_sent: see `entries`."""
        found = {}
        for kept in self.versions():
            where = "AND value = :value ORDER BY added_in DESC"
            entries = read_entries(
                self.database.read, self.detector, kept.name, where, value=self._sought(kept, value.strip(), as_sent=as_sent)
            )
            if entries:
                found[kept.name] = entries
        return found

    def members(self, known: Mapping[str, Members] | None = None) -> dict[str, Members]:
        """The members of each list that rules may read; of `known`, only lists that have changed since are read."""
        found = {}
        for kept in self.versions():
            before = (known or {}).get(kept.name)
            revision = -1 if before is None else int(before.version.partition("-")[0])
            if not kept.archived and before is not None and revision <= kept.revision:
                found[kept.name] = before if revision == kept.revision else self._since(kept, before, revision)
            elif not kept.archived:
                found[kept.name] = self.at(kept.name, kept.revision)
        return found

    def at(self, name: str, revision: int) -> Members:
        """The content of a list at a revision."""
        rows = self.database.read(
            "SELECT value, expires_us FROM list_entries WHERE detector = :detector AND list = :list"
            " AND added_in <= :revision AND (removed_in IS NULL OR removed_in > :revision)",
            {"detector": self.detector, "list": name, "revision": revision},
        )
        until_us = np.array([NEVER_US if row[1] is None else row[1] for row in rows], np.int64)
        return Members.of_columns([row[0] for row in rows], np.full(len(rows), ALWAYS_US), until_us, revision)

    def over_time(self, declared: Mapping[str, Members]) -> dict[str, Members]:
        """The content over time of each list that rules may read: each value with the arrivals for which it is a member.

        declared: lists of the detector's file, whose values count from the time in the file, as they do without an
        office.
        """
        found = {}
        for kept in self.versions():
            if not kept.archived:
                since = _since_when(declared[kept.name]) if kept.name in declared else {}
                found[kept.name] = Members.of(_stay(entry, since) for entry in self.history(kept.name))
        return found

    def _since(self, kept: StoredList, before: Members, revision: int) -> Members:
        """The current members of a list, derived from an earlier revision."""
        values: dict[str, Any] = {"since": revision, "until": kept.revision}
        read = partial(read_entries, self.database.read, self.detector, kept.name, **values)
        came = read(where="AND added_in > :since AND added_in <= :until")
        went = read(where="AND removed_in > :since AND removed_in <= :until")
        new = [
            ListMember(each.value, ALWAYS_US, NEVER_US if each.expires_us is None else each.expires_us)
            for each in came
            if each.removed_in is None or each.removed_in > kept.revision
        ]
        return before.changed([each.value for each in went if each.added_in <= revision], new, kept.revision)

    def _sought(self, kept: StoredList, value: str, *, as_sent: bool) -> str:
        return self.form_of(kept, value) if as_sent else value

    def form_of(self, kept: StoredList, value: str) -> str:
        """A value in the list's stored form."""
        if not kept.personal or value.startswith(TOKEN):
            return value
        if self._token is None:
            raise MalformedEvent(
                f"list {kept.name!r} holds tokens of personal values, and the key for them is not here; name it with "
                "personal_key_file",
                "value",
            )
        return self._token(value)


def _since_when(members: Members) -> dict[str, int]:
    return dict(zip(members.values.tolist(), np.split(members.table[1:], 3)[1].tolist(), strict=True))


def _stay(entry: ListEntry, of_file_since: Mapping[str, int]) -> ListMember:
    """The span of arrivals between an entry's addition and its end."""
    since = of_file_since.get(entry.value, ALWAYS_US) if entry.author == FILE else entry.added_us
    return ListMember(
        entry.value, since, min(NEVER_US if time is None else time for time in (entry.expires_us, entry.removed_us))
    )


def _place(before: str) -> dict[str, Any]:
    number, mark, value = before.partition(":")
    if not mark or not number.isdigit():
        raise MalformedEvent(f"before={before!r} is no place in a list; give the `next` of the page before", "before")
    return {"round": int(number), "value": value}
