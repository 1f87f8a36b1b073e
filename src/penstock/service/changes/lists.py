"""`/detectors/{name}/lists`: allow, block and watch lists that rule conditions read."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import Query, Request, Response
from msgspec import Meta

from penstock.clock import iso
from penstock.config import Settings
from penstock.governance.administration import RuleAdministration
from penstock.governance.approvals import Request as Waiting
from penstock.governance.list_reader import Counts, ListEntry, Purpose, StoredList
from penstock.governance.lists import NewEntry, Outcome
from penstock.identity.roles import Right
from penstock.service.changes.administration import Administration
from penstock.service.changes.rule_schemas import GiveReason, Note, RequestForm
from penstock.service.http.bodies import header, is_csv
from penstock.service.http.operation import body_of, refusal, text_content
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, json_answer, may, parse_body, parse_instant, text, who
from penstock.service.http.route import CHANGING, Body, Routes

Value = Annotated[str, Meta(min_length=1, max_length=500)]


class ListForm(msgspec.Struct):
    """A list. in_force: number of values on it; expired: number of expired values. revision: counts its changes. personal:
    it holds tokens of personal values. protected: every change waits for another person. asked_by: the active and shadow
    rules that read it. pending: ids of requests that wait.
    """

    name: str
    kind: Purpose
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
    kind: Purpose
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
    kind: Purpose = "block"
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
    kept: StoredList, counts: Mapping[str, Counts], asking: Mapping[str, list[str]], pending: list[Waiting]
) -> ListForm:
    """The response form of a list."""
    held = counts.get(kept.name, Counts())
    return filled(
        ListForm,
        kept,
        in_force=held.in_force,
        expired=held.expired,
        made_at=iso(kept.at_us),
        asked_by=asking.get(kept.name, []),
        pending=[request.id for request in pending if request.kind == "list" and request.name == kept.name],
    )


def entry_form(entry: ListEntry, now_us: int) -> EntryForm:
    """The response form of an entry."""
    return filled(EntryForm, entry, state=entry.state(now_us))


def changed_form(kept: ListForm, done: Outcome | Waiting | None) -> ListChanged:
    """The response form of a list change."""
    if isinstance(done, Waiting):
        return ListChanged(kept, 0, 0, 0, 0, filled(RequestForm, done))
    said = done or Outcome(kept.name, kept.revision)
    return ListChanged(kept, said.added, said.replaced, said.removed, said.unchanged, None)


def _fresh(given: AddEntries) -> list[NewEntry]:
    """The entries in a request."""
    entries = [*given.entries, *([EntryGiven(given.value)] if given.value is not None else [])]
    if not entries:
        raise RequestRefused(422, "give a value, or entries", [("value", "is required where there are no entries")])
    return [
        NewEntry(
            each.value,
            given.reason if each.reason is None else each.reason,
            parse_instant(each.expires_at or given.expires_at, "expires_at"),
        )
        for each in entries
    ]


async def _changed(
    administration: Administration,
    name: str,
    list_name: str,
    work: Callable[[], Outcome | Waiting | None],
    *,
    status: int = 200,
) -> Response:
    """Apply a change and answer with its result: 202 if it waits for approval."""
    admin = administration.of(name)
    done = await administration.change(name, work)
    form = await administration.look(lambda: _form(admin, list_name))
    return json_answer(changed_form(form, done), 202 if isinstance(done, Waiting) else status)


def _form(admin: RuleAdministration, list_name: str) -> ListForm:
    admin.lists.one(list_name)
    return next(form for form in _forms(admin) if form.name == list_name)


def _forms(admin: RuleAdministration) -> list[ListForm]:
    counts, pending = admin.lists.counts(), admin.requests("pending")
    asking: dict[str, list[str]] = {}
    for rule in admin.now().plan.rules:
        for each in rule.lists:
            asking.setdefault(each, []).append(rule.name)
    return [list_form(kept, counts, asking, pending) for kept in admin.lists.versions()]


def may_try(request: Request, detector: str) -> bool:
    """Whether the actor may search by original personal values: they may see them, or may put them on lists."""
    return may(request, Right.PERSONAL | Right.AUTHOR, detector)


# ---------------------------------------------------------------- routes

route = Routes("lists")

_ENTRY = "value,reason,expires_at\ndevice-7,chargeback of Monday,2026-12-31T00:00:00Z\n"
_EXPORTED = {200: {"description": "CSV.", "content": text_content("text/csv", _ENTRY)}, 404: refusal(404)}
_ENTRIES = body_of(AddEntries)
_ENTRIES["requestBody"]["content"] |= text_content("text/csv", _ENTRY)


@route("GET", "/detectors/{name}/lists", Right.READ, refuses=(404,))
async def list_lists(administration: Administration, /, name: str, *, archived: bool = False) -> ListList:
    """All lists: their size, the author of the last change, and the rules that read them."""
    admin = administration.of(name)
    forms = await administration.look(lambda: _forms(admin))
    return ListList(name, [form for form in forms if archived or not form.archived])


@route("GET", "/detectors/{name}/lists/lookup", Right.READ, refuses=(404,))
async def find_lists_of_value(
    administration: Administration,
    /,
    name: str,
    request: Request,
    value: Annotated[str, Query(max_length=500, description="To the letter.")],
) -> FoundList:
    """The lists that a value is or was on."""
    admin = administration.of(name)

    def found() -> FoundList:
        kinds, now = {kept.name: kept.kind for kept in admin.lists.versions()}, admin.clock()
        by_list = admin.lists.find(value, as_sent=may_try(request, name)).items()
        forms = {each: [entry_form(entry, now) for entry in entries] for each, entries in by_list}
        held = {each: any(entry.state == "in_force" for entry in entries) for each, entries in forms.items()}
        return FoundList(value, [Found(each, kinds[each], held[each], entries) for each, entries in forms.items()])

    return await administration.look(found)


@route("GET", "/detectors/{name}/lists/{list_name}", Right.READ, refuses=(404,))
async def get_list(administration: Administration, /, name: str, list_name: str) -> ListForm:
    """A list: its kind, its size and who changed it last."""
    admin = administration.of(name)
    return await administration.look(lambda: _form(admin, list_name))


@route("GET", "/detectors/{name}/lists/{list_name}/entries", Right.READ, refuses=(404,))
async def list_list_entries(
    administration: Administration,
    /,
    name: str,
    list_name: str,
    request: Request,
    *,
    state: Literal["in_force", "expired", "removed", "all"] = "in_force",
    search: Annotated[str, Query(max_length=500, description="How values begin.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="Entries per page.")] = 100,
    before: Annotated[str | None, Query(max_length=600, description="`next` of the page before.")] = None,
) -> EntryList:
    """Entries of a list: who added them, when, why, and until when."""
    admin = administration.of(name)

    def found() -> EntryList:
        page, following = admin.lists.entries(
            list_name, state, search=search, as_sent=may_try(request, name), limit=limit, before=before
        )
        return EntryList(list_name, [entry_form(each, admin.clock()) for each in page], following)

    return await administration.look(found)


@route("GET", "/detectors/{name}/lists/{list_name}/export", Right.READ, responses=_EXPORTED)
async def export_list(administration: Administration, /, name: str, list_name: str) -> Response:
    """All entries of a list, past ones included, as CSV: value, reason, author, added_at, expires_at, removed_at."""
    admin = administration.of(name)
    return Response(await administration.look(lambda: admin.export_list(list_name)), media_type="text/csv")


@route("POST", "/detectors/{name}/lists", Right.AUTHOR, answers=ListChanged, refuses=CHANGING, status=201)
async def create_list(administration: Administration, /, name: str, request: Request, body: Body[NewList]) -> Response:
    """Create a list, or restore an archived one."""
    admin, given = administration.of(name), await body

    def made() -> None:
        options = {"personal": given.personal, "protected": given.protected}
        admin.create_list(given.name, given.kind, given.about, who=who(request), **options)

    return await _changed(administration, name, given.name, made, status=201)


@route(
    "POST",
    "/detectors/{name}/lists/{list_name}/entries",
    Right.AUTHOR,
    answers=ListChanged,
    waits=ListChanged,
    takes=AddEntries,
    refuses=CHANGING,
    extra=_ENTRIES,
)
async def add_list_entries(
    administration: Administration, settings: Settings, /, name: str, list_name: str, request: Request
) -> Response:
    """Add values to a list: one, many, or a CSV file; a value on it already gets the new reason and expiry."""
    admin, by, most = administration.of(name), who(request), settings.max_body_bytes
    if is_csv(header(request.headers.raw, b"content-type")):
        lines = await text(request, most)
        return await _changed(administration, name, list_name, lambda: admin.import_list(list_name, lines, "the body", who=by))
    given = await parse_body(request, AddEntries, most)
    fresh = _fresh(given)
    return await _changed(administration, name, list_name, lambda: admin.put(list_name, fresh, who=by, why=given.reason))


@route(
    "POST",
    "/detectors/{name}/lists/{list_name}/remove",
    Right.AUTHOR,
    answers=ListChanged,
    waits=ListChanged,
    refuses=CHANGING,
)
async def remove_list_entries(
    administration: Administration, /, name: str, list_name: str, request: Request, body: Body[RemoveEntries]
) -> Response:
    """Remove values from a list; absent ones are counted, and no error."""
    admin, given = administration.of(name), await body

    def remove() -> Outcome | Waiting:
        return admin.lists.remove(list_name, given.values, who=who(request), why=given.note)

    return await _changed(administration, name, list_name, remove)


@route("POST", "/detectors/{name}/lists/{list_name}/archive", Right.AUTHOR, answers=ListChanged, refuses=CHANGING)
async def archive_list(
    administration: Administration, /, name: str, list_name: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Archive a list that no rule reads; its entries are kept."""
    admin, given = administration.of(name), await body
    put_away = partial(admin.lists.archive, list_name, who=who(request), why=given.note)
    return await _changed(administration, name, list_name, put_away)
