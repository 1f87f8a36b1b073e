"""Lists as they are sent and answered: the forms of JSON."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.governance.approvals import Request
from penstock.governance.list_steps import Outcome
from penstock.governance.list_tables import Counts, Entry, KeptList, Kind
from penstock.service.changes.rule_requests import Note
from penstock.service.changes.rule_schemas import RequestForm, request_form

Value = Annotated[str, Meta(min_length=1, max_length=500)]


class ListForm(msgspec.Struct):
    """A list. in_force: how many values are on it by now; expired: how many were until their expiry. revision: counts its
    changes. personal: it holds tokens of personal values. protected: every change waits for another person. asked_by: the rules
    that act or watch and ask it. pending: ids of requests that wait.
    """

    name: str
    kind: Kind
    about: str
    personal: bool
    protected: bool
    archived: bool
    in_force: int
    expired: int
    revision: int
    author: str
    made_at: str
    changed_by: str
    changed_at: str
    asked_by: list[str]
    pending: list[str]


class ListList(msgspec.Struct):
    """The lists of a detector, by name."""

    detector: str
    lists: list[ListForm]


class EntryForm(msgspec.Struct):
    """A value on a list. state: in_force, expired or removed."""

    value: str
    state: str
    reason: str
    author: str
    added_at: str
    expires_at: str | None
    removed_at: str | None
    removed_by: str | None


class EntryList(msgspec.Struct):
    """One page of a list, the newest entries first."""

    name: str
    entries: list[EntryForm]
    next: str | None


class Found(msgspec.Struct):
    """A list that a value is on, or was: its entries, the newest first."""

    name: str
    kind: Kind
    in_force: bool
    entries: list[EntryForm]


class FoundList(msgspec.Struct):
    """Where a value is, or was."""

    value: str
    lists: list[Found]


class ListChanged(msgspec.Struct):
    """What a change did. unchanged: values that were on the list just so, or were not there to be removed. request: where it
    waits for another person, and nothing has changed yet (202).
    """

    list: ListForm
    added: int
    replaced: int
    removed: int
    unchanged: int
    request: RequestForm | None


class NewList(msgspec.Struct, forbid_unknown_fields=True):
    """A list. kind: what it is for, for people; the rules that ask it say what happens."""

    name: Annotated[str, Meta(min_length=1, max_length=63)]
    kind: Kind = "block"
    about: Note = ""
    personal: bool = False
    protected: bool = False


class EntryGiven(msgspec.Struct, forbid_unknown_fields=True):
    """A value to be put on a list. expires_at: ISO 8601; for ever unless given."""

    value: Value
    reason: Note | None = None
    expires_at: str | None = None


class AddEntries(msgspec.Struct, forbid_unknown_fields=True):
    """Values to be put on a list: one, or many. reason, expires_at: of those that say nothing themselves."""

    value: Value | None = None
    entries: Annotated[list[EntryGiven], Meta(max_length=100_000)] = []
    reason: Note = ""
    expires_at: str | None = None


class RemoveEntries(msgspec.Struct, forbid_unknown_fields=True):
    """Values to be taken off a list."""

    values: Annotated[list[Value], Meta(min_length=1, max_length=100_000)]
    note: Note = ""


def list_form(
    kept: KeptList, counts: Mapping[str, Counts], asking: Mapping[str, list[str]], pending: list[Request]
) -> ListForm:
    """A list as it is answered."""
    held = counts.get(kept.name, Counts())
    return ListForm(
        name=kept.name,
        kind=kept.kind,
        about=kept.about,
        personal=kept.personal,
        protected=kept.protected,
        archived=kept.archived,
        in_force=held.in_force,
        expired=held.expired,
        revision=kept.revision,
        author=kept.author,
        made_at=iso(kept.at_us),
        changed_by=kept.changed_by,
        changed_at=iso(kept.changed_us),
        asked_by=asking.get(kept.name, []),
        pending=[request.id for request in pending if request.kind == "list" and request.name == kept.name],
    )


def entry_form(entry: Entry, now_us: int) -> EntryForm:
    """A value on a list as it is answered."""
    return EntryForm(
        value=entry.value,
        state=entry.state(now_us),
        reason=entry.reason,
        author=entry.author,
        added_at=iso(entry.added_us),
        expires_at=None if entry.expires_us is None else iso(entry.expires_us),
        removed_at=None if entry.removed_us is None else iso(entry.removed_us),
        removed_by=entry.removed_by,
    )


def changed_form(kept: ListForm, done: Outcome | Request | None) -> ListChanged:
    """What a change did, as it is answered."""
    if isinstance(done, Request):
        return ListChanged(kept, 0, 0, 0, 0, request_form(done))
    said = done or Outcome(kept.name, kept.revision)
    return ListChanged(kept, said.added, said.replaced, said.removed, said.unchanged, None)
