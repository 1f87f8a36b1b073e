"""Single changes of lists, inside one transaction: each is one revision of the list, and audited with it."""

from collections.abc import Collection, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec

from penstock.clock import Clock
from penstock.database.sqlite import Transaction
from penstock.errors import Conflict, NotFound, did_you_mean
from penstock.expressions import Members
from penstock.expressions.members import NEVER_US
from penstock.governance.audit import note
from penstock.governance.list_tables import LIST_COLUMNS, Entry, KeptList, Kind, read_entries, read_lists
from penstock.governance.rule_versions import FILE, bump_revision

TOLD = 20
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


class ListSteps:
    """The lists of one detector, in one transaction."""

    def __init__(self, transaction: Transaction, detector: str, clock: Clock) -> None:
        self.transaction, self._detector, self._clock = transaction, detector, clock

    def all(self) -> list[KeptList]:
        """All lists."""
        return read_lists(self.transaction.run, self._detector)

    def one(self, name: str) -> KeptList:
        """A list that is not archived.

        Raises:
            NotFound: there is no list with this name.
        """
        found = {each.name: each for each in self.all() if not each.archived}
        if name not in found:
            raise NotFound(f"detector {self._detector!r} has no list {name!r}.{did_you_mean(name, found)}")
        return found[name]

    def create(
        self, name: str, kind: Kind, about: str, *, personal: bool = False, protected: bool = False, who: str
    ) -> KeptList:
        """Create a list, or restore an archived one."""
        before = next((each for each in self.all() if each.name == name), None)
        if before is not None and not before.archived:
            raise Conflict(f"detector {self._detector!r} has a list {name!r} already")
        now = self._clock()
        made = KeptList(name, kind, about, personal, protected, who, now, before.revision + 1 if before else 1, who, now, False)
        values = msgspec.structs.asdict(made) | {
            name: int(getattr(made, name)) for name in ("personal", "protected", "archived")
        }
        changed = ", ".join(f"{each} = excluded.{each}" for each in LIST_COLUMNS.split(", ")[1:])
        places = ", ".join(f":{each}" for each in LIST_COLUMNS.split(", "))
        self.transaction.run(
            f"INSERT INTO lists (detector, {LIST_COLUMNS}) VALUES (:detector, {places})"  # noqa: S608  constants
            f" ON CONFLICT (detector, name) DO UPDATE SET {changed}",
            values | {"detector": self._detector},
        )
        self._note(who, "list.create", name, {"kind": kind, "about": about, "personal": personal, "protected": protected})
        return made

    def add(self, kept: KeptList, entries: Sequence[NewEntry], *, who: str) -> Outcome:
        """Add values to a list."""
        revision, now = kept.revision + 1, self._clock()
        new = {each.value: each for each in entries}
        held = self._held(kept, new)
        fresh = [each for each in new.values() if not _says(held.get(each.value), each)] if held else list(new.values())
        replaced = [each.value for each in fresh if each.value in held]
        self._off(kept.name, replaced, who, now, revision)
        self._on(kept.name, fresh, who, now, revision)
        done = Outcome(kept.name, revision, len(fresh) - len(replaced), len(replaced), 0, len(new) - len(fresh))
        return self._changed(kept, done, who, "list.add", [each.value for each in fresh], {"reason": _reasons(fresh)})

    def remove(self, kept: KeptList, values: Sequence[str], *, who: str, why: str = "") -> Outcome:
        """Remove values from a list."""
        revision, now = kept.revision + 1, self._clock()
        gone = sorted(self._held(kept, set(values)))
        self._off(kept.name, gone, who, now, revision)
        done = Outcome(kept.name, revision, removed=len(gone), unchanged=len(set(values)) - len(gone))
        return self._changed(kept, done, who, "list.remove", gone, {"why": why})

    def archive(self, kept: KeptList, *, who: str, why: str) -> None:
        """Archive a list; its entries stay."""
        self.transaction.run(
            "UPDATE lists SET archived = 1, changed_by = :who, changed_us = :now WHERE detector = :detector AND name = :name",
            {"who": who, "now": self._clock(), "detector": self._detector, "name": kept.name},
        )
        self._note(who, "list.archive", kept.name, {"why": why})

    def adopt(self, kept: KeptList | None, name: str, members: Members) -> bool:
        """Set a list's values from the detector's file; entries that people changed stay so."""
        made = kept is None
        if kept is None:
            kept = self.create(name, "block", "stands in the detector's file", who=FILE)
        said = {
            value: None if until == NEVER_US else until
            for value, until in zip(members.values.tolist(), members.table[1 + 2 * len(members) :].tolist(), strict=True)
        }
        of_file = read_entries(self.transaction.run, self._detector, name, "AND author = :file ORDER BY added_in", file=FILE)
        known = {each.value: each for each in of_file}
        fresh = [
            NewEntry(value, "stands in the detector's file", until)
            for value, until in said.items()
            if value not in known or (known[value].removed_by == FILE) or known[value].expires_us != until
        ]
        gone = [each.value for each in of_file if each.removed_us is None and each.value not in said]
        fresh = [each for each in fresh if not _peoples(known.get(each.value))]
        if fresh:
            kept = msgspec.structs.replace(kept, revision=self.add(kept, fresh, who=FILE).revision)
        if gone:
            self.remove(kept, gone, who=FILE)
        return made or bool(fresh or gone)

    def bump_revision(self) -> None:
        """Bump the revision so that followers reload."""
        bump_revision(self.transaction, self._detector)

    def _held(self, kept: KeptList, values: Collection[str]) -> dict[str, Entry]:
        """The entries of those of these values that are on a list, expired or not."""
        read = partial(read_entries, self.transaction.run, self._detector, kept.name)
        if len(values) <= _FEW:
            found = [entry for value in values for entry in read(f"{_HELD} AND value = :value", value=value)]
        else:
            found = [entry for entry in read(_HELD) if entry.value in values]
        return {entry.value: entry for entry in found}

    def _on(self, name: str, fresh: Sequence[NewEntry], who: str, now: int, revision: int) -> None:
        """Insert values in ascending order, the order of the tables."""
        rows = (
            (self._detector, name, each.value, each.reason, who, now, revision, each.expires_us)
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
            {"detector": self._detector, "list": name, "now": now, "who": who, "revision": revision},
        )
        run("DROP TABLE values_that_leave")

    def _changed(
        self, kept: KeptList, done: Outcome, who: str, action: str, values: Sequence[str], told: dict[str, Any]
    ) -> Outcome:
        """Record a change as the list's next revision; nothing if nothing changed."""
        if not done.changed:
            return msgspec.structs.replace(done, revision=kept.revision)
        self.transaction.run(
            "UPDATE lists SET revision = :revision, changed_by = :who, changed_us = :now"
            " WHERE detector = :detector AND name = :name",
            {"revision": done.revision, "who": who, "now": self._clock(), "detector": self._detector, "name": kept.name},
        )
        told = {"revision": done.revision, "count": len(values), "values": list(values[:TOLD]), **told}
        self._note(who, action, kept.name, told)
        return done

    def _note(self, who: str, action: str, name: str, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/lists/{name}"
        note(self.transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())


_HELD = "AND removed_in IS NULL"
_FEW = 1_000  # values looked up one by one; for more, the list is read once


def _says(held: Entry | None, new: NewEntry) -> bool:
    return held is not None and (held.reason, held.expires_us) == (new.reason, new.expires_us)


def _peoples(entry: Entry | None) -> bool:
    """Whether a person has removed what the file added."""
    return entry is not None and entry.removed_by is not None and entry.removed_by != FILE


def _reasons(entries: Sequence[NewEntry]) -> str:
    reasons = sorted({each.reason for each in entries})
    return reasons[0] if len(reasons) == 1 else f"{len(reasons)} different ones"
