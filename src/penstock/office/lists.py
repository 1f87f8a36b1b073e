"""Lists that conditions ask: allow, block and watch lists, whose entries say who put them there, why, and until when.

A value is on a list for the events that arrive before its expiry. Every change of a list is one revision, and every entry says
in which it came and went, so what was on the list at any revision can be told for ever.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import numpy as np

from penstock.clock import Clock, system_clock
from penstock.errors import Conflict, DeclarationError, MalformedEvent, NotFound, did_you_mean
from penstock.expressions import Member, Members
from penstock.expressions.members import ALWAYS_US, NEVER_US
from penstock.office import rule_versions
from penstock.office.approvals import Approvals, Request
from penstock.office.audit import AuditLog
from penstock.office.database import Database
from penstock.office.list_steps import ListSteps, NewEntry, Outcome
from penstock.office.list_tables import (
    KINDS,
    SCHEMA,
    Counts,
    Entry,
    KeptList,
    Kind,
    names,
    read_entries,
    read_lists,
)
from penstock.office.rule_versions import Acting, acting, read_versions

Check = Callable[[Sequence[Acting], Collection[str]], None]
"""Raises DeclarationError where rules that act ask another list than those of these names."""

PAGE = 200
_STATES = {
    "in_force": "AND removed_us IS NULL AND coalesce(expires_us, :now + 1) > :now",
    "expired": "AND removed_us IS NULL AND expires_us <= :now",
    "removed": "AND removed_us IS NOT NULL",
    "all": "",
}


class ListBook:
    """The lists of one detector.

    Args:
        database: of the office; its tables are made where they are missing.
        detector: the detector's name.
        check: asked before a list is put away.
        token: makes a token of a personal value, where the key for that is at hand.
    """

    def __init__(
        self,
        database: Database,
        detector: str,
        check: Check,
        clock: Clock = system_clock,
        *,
        token: Callable[[str], str] | None = None,
    ) -> None:
        self._database, self._detector, self._check, self._clock, self._token = database, detector, check, clock, token
        AuditLog(database)
        database.prepare(rule_versions.SCHEMA)
        database.prepare(SCHEMA)
        self.approvals = Approvals(database, detector, clock)

    # ------------------------------------------------------------ looking

    def all(self) -> list[KeptList]:
        """Every list, also those that were put away, by name."""
        return read_lists(self._database.read, self._detector)

    def one(self, name: str) -> KeptList:
        """A list.

        Raises:
            NotFound: there is none of this name.
        """
        found = {each.name: each for each in self.all()}
        if name not in found:
            raise NotFound(f"detector {self._detector!r} has no list {name!r}.{did_you_mean(name, found)}")
        return found[name]

    def counts(self) -> Mapping[str, Counts]:
        """How many values are on each list by now."""
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
        """Entries of a list, the newest first, and what `before` must be for the next page.

        state: in_force, expired, removed or all. search: how their values begin. as_sent: a personal value may be sought as it
        was sent; otherwise only by its token, so that nobody finds out by trying what a token stands for.

        Raises:
            NotFound: there is no such list.
            MalformedEvent: no such state, or `before` is not what was given.
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
        """Everything that ever was on a list, in the order in which it came."""
        self.one(name)
        return read_entries(self._database.read, self._detector, name, "ORDER BY added_in, value")

    def find(self, value: str, *, as_sent: bool = True) -> dict[str, list[Entry]]:
        """Where a value is, or was: its entries by list, the newest first. as_sent: see `entries`."""
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
        """What is on each list that rules may ask; of `known`, what has changed since is read alone."""
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
        """What was on a list after so many changes."""
        rows = self._database.read(
            "SELECT value, expires_us FROM list_entries WHERE detector = :detector AND list = :list"
            " AND added_in <= :revision AND (removed_in IS NULL OR removed_in > :revision)",
            {"detector": self._detector, "list": name, "revision": revision},
        )
        until_us = np.array([NEVER_US if row[1] is None else row[1] for row in rows], np.int64)
        return Members.of_columns([row[0] for row in rows], np.full(len(rows), ALWAYS_US), until_us, revision)

    def _since(self, kept: KeptList, before: Members, revision: int) -> Members:
        """The list as it is now, from what it was after so many changes."""
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

    # ------------------------------------------------------------ changing

    def adopt(self, declared: Mapping[str, Members]) -> None:
        """Take in the lists of the detector's file; what people put on a list, or took off it, stays as it is."""
        if not declared:
            return
        with self._steps() as steps:
            known = {kept.name: kept for kept in steps.all()}
            changed = [steps.adopt(known.get(name), name, members) for name, members in declared.items()]
            if any(changed):
                steps.turn()

    def create(
        self, name: str, kind: Kind = "block", *, about: str = "", personal: bool = False, protected: bool = False, who: str
    ) -> KeptList:
        """A new list, or one that was put away, taken up again with what is on it.

        Raises:
            MalformedEvent: the kind is none, or the key for tokens is not at hand.
            Conflict: there is one of this name.
        """
        if kind not in KINDS:
            raise MalformedEvent(f"a list of kind {kind!r} cannot be.{did_you_mean(kind, KINDS)}", "kind")
        if personal and self._token is None:
            raise MalformedEvent(
                "the key that makes tokens of personal values is not here; name it with personal_key_file", "personal"
            )
        with self._steps() as steps:
            made = steps.create(name, kind, about, personal=personal, protected=protected, who=who)
            steps.turn()
            return made

    def add(self, name: str, entries: Sequence[NewEntry], *, who: str, why: str = "") -> Outcome | Request:
        """Put values on a list; of one that is on it already, reason and expiry become these.

        Returns:
            how many were added, or where the list is protected a request that waits for another person.

        Raises:
            NotFound: there is no such list.
            MalformedEvent: a value cannot be one, or would have expired already.
        """
        with self._steps() as steps:
            kept = steps.one(name)
            now = self._clock()
            for each in entries:
                if each.expires_us is not None and each.expires_us <= now:
                    raise MalformedEvent(f"{each.value!r} would have expired already; let it expire later", "expires_at")
            shaped = [msgspec.structs.replace(each, value=self.form_of(kept, each.value)) for each in entries]
            if kept.protected:
                details = {"entries": msgspec.to_builtins(shaped)}
                return self.approvals.ask(steps.transaction, "list", name, "add", details, author=who, who=who, why=why)
            return self._turned(steps, steps.add(kept, shaped, who=who))

    def remove(self, name: str, values: Sequence[str], *, who: str, why: str = "") -> Outcome | Request:
        """Take values off a list; those that are not on it are counted, and no error.

        Returns:
            how many were removed, or where the list is protected a request that waits for another person.
        """
        with self._steps() as steps:
            kept = steps.one(name)
            shaped = [self.form_of(kept, value.strip()) for value in values]
            if kept.protected:
                details = {"values": shaped}
                return self.approvals.ask(steps.transaction, "list", name, "remove", details, author=who, who=who, why=why)
            return self._turned(steps, steps.remove(kept, shaped, who=who, why=why))

    def approve(self, id: str, *, who: str, why: str = "") -> Outcome:
        """Do what was asked for; whoever asked stays the author of the entries.

        Raises:
            Conflict: it was settled before, or who approves has asked for it.
        """
        with self._steps() as steps:
            request = self.approvals.waiting(steps.transaction, id)
            self.approvals.settle(steps.transaction, request, "approved", who=who, why=why)
            kept = steps.one(request.name)
            if request.action == "remove":
                done = steps.remove(kept, request.details["values"], who=request.asked_by, why=request.note)
            else:
                entries = msgspec.convert(request.details["entries"], list[NewEntry])
                done = steps.add(kept, entries, who=request.asked_by)
            return self._turned(steps, done)

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Put a list away.

        Raises:
            Conflict: a rule that acts or watches asks it.
        """
        with self._steps() as steps:
            steps.archive(steps.one(name), who=who, why=why)
            rules = acting(read_versions(steps.transaction.run, self._detector))
            try:
                self._check(rules, names(steps.transaction.run, self._detector))
            except DeclarationError as error:
                raise Conflict(f"list {name!r} cannot be put away while rules ask it: {error}") from error
            steps.turn()

    # ------------------------------------------------------------ inside

    @contextmanager
    def _steps(self) -> Iterator[ListSteps]:
        with self._database.write() as transaction:
            yield ListSteps(transaction, self._detector, self._clock)

    def _turned(self, steps: ListSteps, done: Outcome) -> Outcome:
        if done.changed:
            steps.turn()
        return done

    def _sought(self, kept: KeptList, value: str, *, as_sent: bool) -> str:
        return self.form_of(kept, value) if as_sent else value

    def form_of(self, kept: KeptList, value: str) -> str:
        """A value as the list keeps it."""
        if not kept.personal or value.startswith(TOKEN):
            return value
        if self._token is None:
            raise MalformedEvent(
                f"list {kept.name!r} holds tokens of personal values, and the key for them is not here; name it with "
                "personal_key_file",
                "value",
            )
        return self._token(value)


TOKEN = "tok_"  # noqa: S105  what tokens begin with
"""What a token of a personal value begins with; see `penstock.ingest.personal`."""


def _place(before: str) -> dict[str, Any]:
    number, mark, value = before.partition(":")
    if not mark or not number.isdigit():
        raise MalformedEvent(f"before={before!r} is no place in a list; give the `next` of the page before", "before")
    return {"round": int(number), "value": value}
