"""Allow, block and watch lists that conditions read, whose entries have an author, a reason and an expiry.

A value is on a list for the events that arrive before its expiry. Every change of a list is one revision, and every
entry stores the revisions of its addition and removal, so the content at any revision can be reconstructed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database
from penstock.decoding import prepared
from penstock.errors import Conflict, DeclarationError, MalformedEvent, did_you_mean
from penstock.expressions import Members
from penstock.expressions.members import NEVER_US
from penstock.governance.approvals import Request
from penstock.governance.list_reader import LIST, PURPOSES, ListEntry, ListReader, Purpose, StoredList, names, read_entries
from penstock.governance.rules import RULE, running
from penstock.governance.rules import SCHEMA as RULES
from penstock.governance.versions import FILE, VersionChanges, known
from penstock.rules import Rule

AUDITED_VALUES = 20
"""Maximum of values in the audit entry of a change; the entries of the list hold all of them."""


class NewEntry(msgspec.Struct, frozen=True, gc=False):
    """A value to add to a list, with reason and expiry."""

    value: str
    reason: str = ""
    expires_us: int | None = None


class Outcome(msgspec.Struct, frozen=True):
    """The result of a list change. unchanged: values that were on it already, or not there to be removed."""

    list: str
    revision: int
    added: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.replaced or self.removed)


class ListChanges(VersionChanges[StoredList]):
    """The lists of one detector, in one transaction."""

    def one(self, name: str) -> StoredList:
        """A list that is not archived.

        Raises:
            NotFound: there is no list with this name.
        """
        return known(self.kind, [each for each in self.versions if not each.archived], name, self.detector)[0]

    def create(
        self, name: str, kind: Purpose, about: str, *, personal: bool = False, protected: bool = False, who: str
    ) -> StoredList:
        """Create a list, or restore an archived one."""
        before = next(iter(self.of(name)), None)
        if before is not None and not before.archived:
            raise Conflict(f"detector {self.detector!r} has a list {name!r} already")
        details: dict[str, Any] = {"kind": kind, "about": about, "personal": personal, "protected": protected}
        now = self.clock()
        if before is not None:
            made = {**details, "author": who, "at_us": now, "revision": before.revision + 1}
            return self.apply("create", before, who=who, details=details, **made)
        added = StoredList(name, kind, about, personal, protected, who, now, 1, who, now, False)
        return self.insert(added, who, "list.create", details)

    def add(self, kept: StoredList, entries: Sequence[NewEntry], *, who: str) -> Outcome:
        """Add values to a list."""
        revision, now = kept.revision + 1, self.clock()
        new = {each.value: each for each in entries}
        present = self._present(kept, new)
        fresh = [each for each in new.values() if not _says(present.get(each.value), each)] if present else list(new.values())
        replaced = [each.value for each in fresh if each.value in present]
        self._off(kept.name, replaced, who, now, revision)
        self._on(kept.name, fresh, who, now, revision)
        done = Outcome(kept.name, revision, len(fresh) - len(replaced), len(replaced), 0, len(new) - len(fresh))
        return self._changed(kept, done, who, "list.add", [each.value for each in fresh], {"reason": _reasons(fresh)})

    def remove(self, kept: StoredList, values: Sequence[str], *, who: str, why: str = "") -> Outcome:
        """Remove values from a list."""
        revision, now = kept.revision + 1, self.clock()
        removed = sorted(self._present(kept, set(values)))
        self._off(kept.name, removed, who, now, revision)
        done = Outcome(kept.name, revision, removed=len(removed), unchanged=len(set(values)) - len(removed))
        return self._changed(kept, done, who, "list.remove", removed, {"why": why})

    def adopt(self, kept: StoredList | None, name: str, members: Members) -> bool:
        """Set a list's values from the detector's file; entries that people changed stay so."""
        made = kept is None
        if kept is None:
            kept = self.create(name, "block", "stands in the detector's file", who=FILE)
        said = {
            value: None if until == NEVER_US else until
            for value, until in zip(members.values.tolist(), members.table[1 + 2 * len(members) :].tolist(), strict=True)
        }
        of_file = read_entries(self.transaction.run, self.detector, name, "AND author = :file ORDER BY added_in", file=FILE)
        known = {each.value: each for each in of_file}
        fresh = [
            NewEntry(value, "stands in the detector's file", until)
            for value, until in said.items()
            if value not in known or (known[value].removed_by == FILE) or known[value].expires_us != until
        ]
        removed = [each.value for each in of_file if each.removed_us is None and each.value not in said]
        fresh = [each for each in fresh if not _peoples(known.get(each.value))]
        if fresh:
            self.add(kept, fresh, who=FILE)
        if removed:
            self.remove(self.of(name)[0], removed, who=FILE)
        return made or bool(fresh or removed)

    def _present(self, kept: StoredList, values: Collection[str]) -> dict[str, ListEntry]:
        """The entries of those of these values that are on a list, expired or not."""
        read = partial(read_entries, self.transaction.run, self.detector, kept.name)
        if len(values) <= _FEW:
            found = [entry for value in values for entry in read(f"{_HELD} AND value = :value", value=value)]
        else:
            found = [entry for entry in read(_HELD) if entry.value in values]
        return {entry.value: entry for entry in found}

    def _on(self, name: str, fresh: Sequence[NewEntry], who: str, now: int, revision: int) -> None:
        """Insert values in ascending order, the order of the tables."""
        rows = (
            (self.detector, name, each.value, each.reason, who, now, revision, each.expires_us)
            for each in sorted(fresh, key=attrgetter("value"))
        )
        columns = "detector, list, value, reason, author, added_us, added_in, expires_us"
        self.transaction.insert("list_entries", columns, rows)

    def _off(self, name: str, values: Sequence[str], who: str, now: int, revision: int) -> None:
        """Remove values with one statement through a temporary table: query planners without statistics may otherwise scan
        the list for each value.
        """
        if not values:
            return
        run = self.transaction.run
        run("CREATE TEMP TABLE values_that_leave (value TEXT PRIMARY KEY)")
        self.transaction.insert("values_that_leave", "value", ((value,) for value in values))
        run(
            "UPDATE list_entries SET removed_us = :now, removed_by = :who, removed_in = :revision"
            " WHERE detector = :detector AND list = :list AND removed_in IS NULL"
            " AND value IN (SELECT value FROM values_that_leave)",
            {"detector": self.detector, "list": name, "now": now, "who": who, "revision": revision},
        )
        run("DROP TABLE values_that_leave")

    def _changed(
        self, kept: StoredList, done: Outcome, who: str, action: str, values: Sequence[str], details: dict[str, Any]
    ) -> Outcome:
        """Record a change as the list's next revision; nothing if nothing changed."""
        if not done.changed:
            return msgspec.structs.replace(done, revision=kept.revision)
        changed = self.update(kept, revision=done.revision, changed_by=who, changed_us=self.clock())
        details = {"revision": done.revision, "count": len(values), "values": list(values[:AUDITED_VALUES]), **details}
        self.note(who, action, LIST.subject.format(changed), details)
        return done


_HELD = "AND removed_in IS NULL"
_FEW = 1_000  # values looked up one by one; for more, the list is read once


def _says(present: ListEntry | None, new: NewEntry) -> bool:
    return present is not None and (present.reason, present.expires_us) == (new.reason, new.expires_us)


def _peoples(entry: ListEntry | None) -> bool:
    """Whether a person has removed what the file added."""
    return entry is not None and entry.removed_by is not None and entry.removed_by != FILE


def _reasons(entries: Sequence[NewEntry]) -> str:
    reasons = sorted({each.reason for each in entries})
    return reasons[0] if len(reasons) == 1 else f"{len(reasons)} different ones"


Check = Callable[[Sequence[Rule], Collection[str]], None]
"""Raises DeclarationError if running rules read a list with another name."""


class ListStore(ListReader):
    """The lists of one detector: queries and changes.

    Args:
        database: of the office; missing tables are created.
        detector: the detector's name.
        check: called before a list is archived.
        token: tokenizes a personal value, if the secret is available.
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
        super().__init__(database, detector, clock, token=token)
        self._check = check
        database.prepare(RULES)

    # ------------------------------------------------------------ changing

    def adopt(self, declared: Mapping[str, Members]) -> None:
        """Adopt the lists of the detector's file; entries that people added or removed stay so."""
        if not declared:
            return
        with self._changes() as changes:
            changed = [changes.adopt(next(iter(changes.of(name)), None), name, members) for name, members in declared.items()]
            if any(changed):
                changes.bump_revision()

    def create(
        self, name: str, kind: Purpose = "block", *, about: str = "", personal: bool = False, protected: bool = False, who: str
    ) -> StoredList:
        """Create a list, or restore an archived one with its entries.

        Raises:
            MalformedEvent: unknown kind, or the token secret is not available.
            Conflict: a list with this name exists.
        """
        if kind not in PURPOSES:
            raise MalformedEvent(f"a list of kind {kind!r} cannot be.{did_you_mean(kind, PURPOSES)}", "kind")
        if personal and self._token is None:
            raise MalformedEvent(
                "the key that makes tokens of personal values is not here; name it with personal_key_file", "personal"
            )
        with self._changes() as changes:
            made = changes.create(name, kind, about, personal=personal, protected=protected, who=who)
            changes.bump_revision()
            return made

    def add(self, name: str, entries: Sequence[NewEntry], *, who: str, why: str = "") -> Outcome | Request:
        """Add values to a list; those on it already get the new reason and expiry.

        Returns:
            the result, or for a protected list a request that waits for another person.

        Raises:
            NotFound: there is no such list.
            MalformedEvent: a value is invalid, or would have expired already.
        """
        with self._changes() as changes:
            kept = changes.one(name)
            now = self.clock()
            for each in entries:
                if each.expires_us is not None and each.expires_us <= now:
                    raise MalformedEvent(f"{each.value!r} would have expired already; let it expire later", "expires_at")
            shaped = list(entries)
            if kept.personal:
                shaped = [msgspec.structs.replace(each, value=self.form_of(kept, each.value)) for each in entries]
            if kept.protected:
                details = {"entries": msgspec.to_builtins(shaped)}
                return self._ask(changes, name, "add", details, author=who, who=who, why=why)
            return self._turned(changes, changes.add(kept, shaped, who=who))

    def remove(self, name: str, values: Sequence[str], *, who: str, why: str = "") -> Outcome | Request:
        """Remove values from a list; absent ones are counted, and no error.

        Returns:
            the result, or for a protected list a request that waits for another person.
        """
        with self._changes() as changes:
            kept = changes.one(name)
            shaped = [self.form_of(kept, value.strip()) for value in values]
            if kept.protected:
                details = {"values": shaped}
                return self._ask(changes, name, "remove", details, author=who, who=who, why=why)
            return self._turned(changes, changes.remove(kept, shaped, who=who, why=why))

    def approve(self, id: str, *, who: str, why: str = "") -> Outcome:
        """Approve a request and apply it; the requester stays the author of the entries.

        Raises:
            Conflict: it was settled before, or the approver is its author.
        """
        with self._changes() as changes:
            request = self.approvals.waiting(changes.transaction, id)
            self.approvals.settle(changes.transaction, request, "approved", who=who, why=why)
            kept = changes.one(request.name)
            if request.action == "remove":
                done = changes.remove(kept, request.details["values"], who=request.asked_by, why=request.note)
            else:
                entries = msgspec.convert(request.details["entries"], prepared(list[NewEntry]))
                done = changes.add(kept, entries, who=request.asked_by)
            return self._turned(changes, done)

    def archive(self, name: str, *, who: str, why: str = "") -> None:
        """Archive a list.

        Raises:
            Conflict: an active or shadow rule reads it.
        """
        with self._changes() as changes:
            changes.apply("archive", changes.one(name), who=who, why=why, details={"why": why})
            rules = running(RULE.read(changes.transaction.run, self.detector))
            try:
                self._check(rules, names(changes.transaction.run, self.detector))
            except DeclarationError as error:
                raise Conflict(f"list {name!r} cannot be put away while rules ask it: {error}") from error
            changes.bump_revision()

    # ------------------------------------------------------------ inside a transaction

    @contextmanager
    def _changes(self) -> Iterator[ListChanges]:
        with self.database.write() as transaction:
            yield ListChanges(LIST, transaction, self.detector, self.clock)

    def _turned(self, changes: ListChanges, done: Outcome) -> Outcome:
        if done.changed:
            changes.bump_revision()
        return done
