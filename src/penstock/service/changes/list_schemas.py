"""Request and response schemas of the lists API."""

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
    """A list. in_force: number of values on it; expired: number of expired values. revision: counts its changes. personal:
    it holds tokens of personal values. protected: every change waits for another person. asked_by: the active and shadow
    rules that read it. pending: ids of requests that wait.
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
    """The lists of a detector, sorted by name."""

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
    """A list with the entries of one value, newest first."""

    name: str
    kind: Kind
    in_force: bool
    entries: list[EntryForm]


class FoundList(msgspec.Struct):
    """The lists that a value is or was on."""

    value: str
    lists: list[Found]


class ListChanged(msgspec.Struct):
    """The result of a change. unchanged: values that were on the list already, or not there to be removed. request: the
    request that waits for another person; nothing has changed yet (202).
    """

    list: ListForm
    added: int
    replaced: int
    removed: int
    unchanged: int
    request: RequestForm | None


class NewList(msgspec.Struct, forbid_unknown_fields=True):
    """A list to create. kind: its purpose, for people; the rules that read it determine the outcome."""

    name: Annotated[str, Meta(min_length=1, max_length=63)]
    kind: Kind = "block"
    about: Note = ""
    personal: bool = False
    protected: bool = False


class EntryGiven(msgspec.Struct, forbid_unknown_fields=True):
    """A value to add to a list. expires_at: ISO 8601; no expiry unless given."""

    value: Value
    reason: Note | None = None
    expires_at: str | None = None


class AddEntries(msgspec.Struct, forbid_unknown_fields=True):
    """Values to add to a list: one, or many. reason, expires_at: defaults for values without their own."""

    value: Value | None = None
    entries: Annotated[list[EntryGiven], Meta(max_length=100_000)] = []
    reason: Note = ""
    expires_at: str | None = None


class RemoveEntries(msgspec.Struct, forbid_unknown_fields=True):
    """Values to remove from a list."""

    values: Annotated[list[Value], Meta(min_length=1, max_length=100_000)]
    note: Note = ""


def list_form(
    kept: KeptList, counts: Mapping[str, Counts], asking: Mapping[str, list[str]], pending: list[Request]
) -> ListForm:
    """The response form of a list."""
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
    """The response form of an entry."""
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
    """The response form of a list change."""
    if isinstance(done, Request):
        return ListChanged(kept, 0, 0, 0, 0, request_form(done))
    said = done or Outcome(kept.name, kept.revision)
    return ListChanged(kept, said.added, said.replaced, said.removed, said.unchanged, None)
