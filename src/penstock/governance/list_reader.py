"""Queries of lists: entries, authors, and the content at any revision."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database
from penstock.errors import MalformedEvent, NotFound, did_you_mean
from penstock.expressions import Member, Members
from penstock.expressions.members import ALWAYS_US, NEVER_US
from penstock.governance.list_tables import SCHEMA, Counts, Entry, KeptList, read_entries, read_lists
from penstock.governance.rule_versions import FILE

TOKEN = "tok_"  # noqa: S105  what tokens begin with
"""Prefix of the token of a personal value; see `penstock.ingest.personal`."""

PAGE = 200
_STATES = {
    "in_force": "AND removed_us IS NULL AND coalesce(expires_us, :now + 1) > :now",
    "expired": "AND removed_us IS NULL AND expires_us <= :now",
    "removed": "AND removed_us IS NOT NULL",
    "all": "",
}


class ListReader:
    """Reads the lists of one detector.

    Args:
        database: of the office; missing tables of lists are created.
        detector: the detector's name.
        token: tokenizes a personal value, if the secret is available.
    """

    def __init__(
        self,
        database: Database,
        detector: str,
        clock: Clock = system_clock,
        *,
        token: Callable[[str], str] | None = None,
    ) -> None:
        self._database, self._detector, self._clock, self._token = database, detector, clock, token
        database.prepare(SCHEMA)

    def all(self) -> list[KeptList]:
        """All lists, archived ones included, sorted by name."""
        return read_lists(self._database.read, self._detector)

    def one(self, name: str) -> KeptList:
        """A list.

        Raises:
            NotFound: there is no list with this name.
        """
        found = {each.name: each for each in self.all()}
        if name not in found:
            raise NotFound(f"detector {self._detector!r} has no list {name!r}.{did_you_mean(name, found)}")
        return found[name]

    def counts(self) -> Mapping[str, Counts]:
        """The number of values on each list now."""
        now = self._clock()
        rows = self._database.read(
            "SELECT list, sum(CASE WHEN coalesce(expires_us, :now + 1) > :now THEN 1 ELSE 0 END), count(*) FROM list_entries"
            " WHERE detector = :detector AND removed_in IS NULL GROUP BY list",
            {"detector": self._detector, "now": now},
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
    ) -> tuple[list[Entry], str | None]:
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
        values: dict[str, Any] = {"now": self._clock()} if ":now" in _STATES[state] else {}
        where = _STATES[state]
        if search:
            wanted = self._sought(kept, search, as_sent=as_sent)
            where += " AND substr(value, 1, :length) = :search"
            values |= {"length": len(wanted), "search": wanted}
        if before is not None:
            where += " AND (added_in < :round OR (added_in = :round AND value > :value))"
            values |= _place(before)
        where += " ORDER BY added_in DESC, value LIMIT :limit"
        found = read_entries(self._database.read, self._detector, name, where, limit=limit + 1, **values)
        page = found[:limit]
        return page, f"{page[-1].added_in}:{page[-1].value}" if len(found) > limit else None

    def history(self, name: str) -> list[Entry]:
        """All entries that were ever on a list, in order of their addition."""
        self.one(name)
        return read_entries(self._database.read, self._detector, name, "ORDER BY added_in, value")

    def find(self, value: str, *, as_sent: bool = True) -> dict[str, list[Entry]]:
        """The entries of a value by list, newest first. as_sent: see `entries`."""
        found = {}
        for kept in self.all():
            where = "AND value = :value ORDER BY added_in DESC"
            entries = read_entries(
                self._database.read, self._detector, kept.name, where, value=self._sought(kept, value.strip(), as_sent=as_sent)
            )
            if entries:
                found[kept.name] = entries
        return found

    def members(self, known: Mapping[str, Members] | None = None) -> dict[str, Members]:
        """The members of each list that rules may read; of `known`, only lists that have changed since are read."""
        found = {}
        for kept in self.all():
            before = (known or {}).get(kept.name)
            revision = -1 if before is None else int(before.version.partition("-")[0])
            if not kept.archived and before is not None and revision <= kept.revision:
                found[kept.name] = before if revision == kept.revision else self._since(kept, before, revision)
            elif not kept.archived:
                found[kept.name] = self.at(kept.name, kept.revision)
        return found

    def at(self, name: str, revision: int) -> Members:
        """The content of a list at a revision."""
        rows = self._database.read(
            "SELECT value, expires_us FROM list_entries WHERE detector = :detector AND list = :list"
            " AND added_in <= :revision AND (removed_in IS NULL OR removed_in > :revision)",
            {"detector": self._detector, "list": name, "revision": revision},
        )
        until_us = np.array([NEVER_US if row[1] is None else row[1] for row in rows], np.int64)
        return Members.of_columns([row[0] for row in rows], np.full(len(rows), ALWAYS_US), until_us, revision)

    def over_time(self, declared: Mapping[str, Members]) -> dict[str, Members]:
        """The content over time of each list that rules may read: each value with the arrivals for which it is a member.

        declared: lists of the detector's file, whose values count from the time in the file, as they do without an
        office.
        """
        found = {}
        for kept in self.all():
            if not kept.archived:
                since = _since_when(declared[kept.name]) if kept.name in declared else {}
                found[kept.name] = Members.of(_stay(entry, since) for entry in self.history(kept.name))
        return found

    def _since(self, kept: KeptList, before: Members, revision: int) -> Members:
        """The current members of a list, derived from an earlier revision."""
        values: dict[str, Any] = {"since": revision, "until": kept.revision}
        read = partial(read_entries, self._database.read, self._detector, kept.name, **values)
        came = read(where="AND added_in > :since AND added_in <= :until")
        went = read(where="AND removed_in > :since AND removed_in <= :until")
        new = [
            Member(each.value, ALWAYS_US, NEVER_US if each.expires_us is None else each.expires_us)
            for each in came
            if each.removed_in is None or each.removed_in > kept.revision
        ]
        return before.changed([each.value for each in went if each.added_in <= revision], new, kept.revision)

    def _sought(self, kept: KeptList, value: str, *, as_sent: bool) -> str:
        return self.form_of(kept, value) if as_sent else value

    def form_of(self, kept: KeptList, value: str) -> str:
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


def _stay(entry: Entry, of_file_since: Mapping[str, int]) -> Member:
    """The span of arrivals between an entry's addition and its end."""
    since = of_file_since.get(entry.value, ALWAYS_US) if entry.author == FILE else entry.added_us
    return Member(entry.value, since, min(NEVER_US if time is None else time for time in (entry.expires_us, entry.removed_us)))


def _place(before: str) -> dict[str, Any]:
    number, mark, value = before.partition(":")
    if not mark or not number.isdigit():
        raise MalformedEvent(f"before={before!r} is no place in a list; give the `next` of the page before", "before")
    return {"round": int(number), "value": value}
