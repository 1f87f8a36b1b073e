"""Allow, block and watch lists that conditions read, whose entries have an author, a reason and an expiry.

A value is on a list for the events that arrive before its expiry. Every change of a list is one revision, and every
entry stores the revisions of its addition and removal, so the content at any revision can be reconstructed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database
from penstock.errors import Conflict, DeclarationError, MalformedEvent, did_you_mean
from penstock.expressions import Members
from penstock.governance import rule_versions
from penstock.governance.approvals import Approvals, Request
from penstock.governance.audit import AuditLog
from penstock.governance.list_reader import ListReader
from penstock.governance.list_steps import ListSteps, NewEntry, Outcome
from penstock.governance.list_tables import (
    KINDS,
    KeptList,
    Kind,
    names,
)
from penstock.governance.rule_versions import Acting, acting, read_versions

Check = Callable[[Sequence[Acting], Collection[str]], None]
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
        AuditLog(database)
        database.prepare(rule_versions.SCHEMA)
        self.approvals = Approvals(database, detector, clock)

    # ------------------------------------------------------------ changing

    def adopt(self, declared: Mapping[str, Members]) -> None:
        """Adopt the lists of the detector's file; entries that people added or removed stay so."""
        if not declared:
            return
        with self._steps() as steps:
            known = {kept.name: kept for kept in steps.all()}
            changed = [steps.adopt(known.get(name), name, members) for name, members in declared.items()]
            if any(changed):
                steps.bump_revision()

    def create(
        self, name: str, kind: Kind = "block", *, about: str = "", personal: bool = False, protected: bool = False, who: str
    ) -> KeptList:
        """Create a list, or restore an archived one with its entries.

        Raises:
            MalformedEvent: unknown kind, or the token secret is not available.
            Conflict: a list with this name exists.
        """
        if kind not in KINDS:
            raise MalformedEvent(f"a list of kind {kind!r} cannot be.{did_you_mean(kind, KINDS)}", "kind")
        if personal and self._token is None:
            raise MalformedEvent(
                "the key that makes tokens of personal values is not here; name it with personal_key_file", "personal"
            )
        with self._steps() as steps:
            made = steps.create(name, kind, about, personal=personal, protected=protected, who=who)
            steps.bump_revision()
            return made

    def add(self, name: str, entries: Sequence[NewEntry], *, who: str, why: str = "") -> Outcome | Request:
        """Add values to a list; those on it already get the new reason and expiry.

        Returns:
            the result, or for a protected list a request that waits for another person.

        Raises:
            NotFound: there is no such list.
            MalformedEvent: a value is invalid, or would have expired already.
        """
        with self._steps() as steps:
            kept = steps.one(name)
            now = self._clock()
            for each in entries:
                if each.expires_us is not None and each.expires_us <= now:
                    raise MalformedEvent(f"{each.value!r} would have expired already; let it expire later", "expires_at")
            shaped = list(entries)
            if kept.personal:
                shaped = [msgspec.structs.replace(each, value=self.form_of(kept, each.value)) for each in entries]
            if kept.protected:
                details = {"entries": msgspec.to_builtins(shaped)}
                return self.approvals.ask(steps.transaction, "list", name, "add", details, author=who, who=who, why=why)
            return self._turned(steps, steps.add(kept, shaped, who=who))

    def remove(self, name: str, values: Sequence[str], *, who: str, why: str = "") -> Outcome | Request:
        """Remove values from a list; absent ones are counted, and no error.

        Returns:
            the result, or for a protected list a request that waits for another person.
        """
        with self._steps() as steps:
            kept = steps.one(name)
            shaped = [self.form_of(kept, value.strip()) for value in values]
            if kept.protected:
                details = {"values": shaped}
                return self.approvals.ask(steps.transaction, "list", name, "remove", details, author=who, who=who, why=why)
            return self._turned(steps, steps.remove(kept, shaped, who=who, why=why))

    def approve(self, id: str, *, who: str, why: str = "") -> Outcome:
        """Approve a request and apply it; the requester stays the author of the entries.

        Raises:
            Conflict: it was settled before, or the approver is its author.
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
        """Archive a list.

        Raises:
            Conflict: an active or shadow rule reads it.
        """
        with self._steps() as steps:
            steps.archive(steps.one(name), who=who, why=why)
            rules = acting(read_versions(steps.transaction.run, self._detector))
            try:
                self._check(rules, names(steps.transaction.run, self._detector))
            except DeclarationError as error:
                raise Conflict(f"list {name!r} cannot be put away while rules ask it: {error}") from error
            steps.bump_revision()

    # ------------------------------------------------------------ inside a transaction

    @contextmanager
    def _steps(self) -> Iterator[ListSteps]:
        with self._database.write() as transaction:
            yield ListSteps(transaction, self._detector, self._clock)

    def _turned(self, steps: ListSteps, done: Outcome) -> Outcome:
        if done.changed:
            steps.bump_revision()
        return done
