"""`/detectors/{name}/lists`: allow, block and watch lists that rule conditions read."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response

from penstock.config import Settings
from penstock.governance.approvals import Request as Waiting
from penstock.governance.list_steps import NewEntry, Outcome
from penstock.identity.roles import Right, rights
from penstock.service.changes.administration import Administration
from penstock.service.changes.list_schemas import (
    AddEntries,
    EntryGiven,
    EntryList,
    Found,
    FoundList,
    ListChanged,
    ListForm,
    ListList,
    NewList,
    RemoveEntries,
    changed_form,
    entry_form,
    list_form,
)
from penstock.service.changes.rule_requests import GiveReason
from penstock.service.http.bodies import header, is_csv
from penstock.service.http.instants import parse_instant
from penstock.service.http.openapi import answers, may_take, refusal, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import actor_name, json_answer, parse_body, text, who
from penstock.wiring.changes.rule_administration import RuleAdministration

_REFUSED = (400, 404, 408, 409, 413, 415)
_LISTS = "/detectors/{name}/lists"
_LIST = _LISTS + "/{list_name}"


def add_routes(routes: FastAPI, shelf: Administration, settings: Settings) -> None:
    """Add the routes."""
    _add_looking(routes, shelf)
    _add_changing(routes, shelf, settings)


def _add_looking(routes: FastAPI, shelf: Administration) -> None:
    @routes.get(_LISTS, tags=["lists"], responses=answers(ListList, 404))
    async def listed(name: str, *, archived: bool = False) -> Response:
        """All lists: their size, the author of the last change, and the rules that read them."""
        books = shelf.of(name)
        forms = await shelf.look(lambda: _forms(books))
        return json_answer(ListList(name, [form for form in forms if archived or not form.archived]))

    @routes.get(_LISTS + "/lookup", tags=["lists"], responses=answers(FoundList, 404))
    async def lookup(
        name: str, request: Request, value: Annotated[str, Query(max_length=500, description="To the letter.")]
    ) -> Response:
        """The lists that a value is or was on."""
        books = shelf.of(name)

        def found() -> FoundList:
            kinds, now = {kept.name: kept.kind for kept in books.lists.all()}, books.clock()
            by_list = books.lists.find(value, as_sent=_may_try(request)).items()
            forms = {each: [entry_form(entry, now) for entry in entries] for each, entries in by_list}
            held = {each: any(entry.state == "in_force" for entry in entries) for each, entries in forms.items()}
            return FoundList(value, [Found(each, kinds[each], held[each], entries) for each, entries in forms.items()])

        return json_answer(await shelf.look(found))

    @routes.get(_LIST, tags=["lists"], responses=answers(ListForm, 404))
    async def one(name: str, list_name: str) -> Response:
        """One list."""
        books = shelf.of(name)
        return json_answer(await shelf.look(lambda: _form(books, list_name)))

    @routes.get(_LIST + "/entries", tags=["lists"], responses=answers(EntryList, 404))
    async def entries(
        name: str,
        list_name: str,
        request: Request,
        *,
        state: Literal["in_force", "expired", "removed", "all"] = "in_force",
        search: Annotated[str, Query(max_length=500, description="How values begin.")] = "",
        limit: Annotated[int, Query(ge=1, le=1000, description="Entries per page.")] = 100,
        before: Annotated[str | None, Query(max_length=600, description="`next` of the page before.")] = None,
    ) -> Response:
        """Entries of a list: who added them, when, why, and until when."""
        books = shelf.of(name)

        def found() -> EntryList:
            page, following = books.lists.entries(
                list_name, state, search=search, as_sent=_may_try(request), limit=limit, before=before
            )
            return EntryList(list_name, [entry_form(each, books.clock()) for each in page], following)

        return json_answer(await shelf.look(found))

    @routes.get(
        _LIST + "/export", tags=["lists"], response_class=Response,
        responses={200: {"description": "CSV.", "content": {"text/csv": {}}}, 404: refusal(404)},
    )  # fmt: skip
    async def export(name: str, list_name: str) -> Response:
        """All entries of a list, past ones included, as CSV: value, reason, author, added_at, expires_at, removed_at."""
        books = shelf.of(name)
        return Response(await shelf.look(lambda: books.export_list(list_name)), media_type="text/csv")


def _may_try(request: Request) -> bool:
    """Whether the actor may search by original personal values: those who see them, and those who put them on lists."""
    return bool((Right.PERSONAL | Right.AUTHOR) & rights(actor_name(request).roles))


def _add_changing(routes: FastAPI, shelf: Administration, settings: Settings) -> None:
    most = settings.max_body_bytes
    waiting: dict[int | str, dict[str, Any]] = {202: answers(ListChanged, status=202)[202]}

    @routes.post(
        _LISTS, tags=["lists"], status_code=201, responses=answers(ListChanged, *_REFUSED, status=201),
        openapi_extra=requires("NewList"),
    )  # fmt: skip
    async def create(name: str, request: Request) -> Response:
        """Create a list, or restore an archived one."""
        books, given = shelf.of(name), await parse_body(request, NewList, most)

        def made() -> None:
            options = {"personal": given.personal, "protected": given.protected}
            books.create_list(given.name, given.kind, given.about, who=who(request), **options)

        return await _changed(shelf, name, given.name, made, status=201)

    @routes.post(
        _LIST + "/entries", tags=["lists"], responses={**answers(ListChanged, *_REFUSED), **waiting},
        openapi_extra=_entries(),
    )  # fmt: skip
    async def add(name: str, list_name: str, request: Request) -> Response:
        """Add values to a list: one, many, or a CSV file; a value on it already gets the new reason and expiry."""
        books, by = shelf.of(name), who(request)
        if is_csv(header(request.headers.raw, b"content-type")):
            lines = await text(request, most)
            return await _changed(shelf, name, list_name, lambda: books.import_list(list_name, lines, "the body", who=by))
        given = await parse_body(request, AddEntries, most)
        fresh = _fresh(given)
        return await _changed(shelf, name, list_name, lambda: books.put(list_name, fresh, who=by, why=given.reason))

    @routes.post(
        _LIST + "/remove", tags=["lists"], responses={**answers(ListChanged, *_REFUSED), **waiting},
        openapi_extra=requires("RemoveEntries"),
    )  # fmt: skip
    async def remove(name: str, list_name: str, request: Request) -> Response:
        """Remove values from a list; absent ones are counted, and no error."""
        books, given = shelf.of(name), await parse_body(request, RemoveEntries, most)

        def gone() -> Outcome | Waiting:
            return books.lists.remove(list_name, given.values, who=who(request), why=given.note)

        return await _changed(shelf, name, list_name, gone)

    @routes.post(
        _LIST + "/archive", tags=["lists"], responses=answers(ListChanged, *_REFUSED), openapi_extra=may_take("GiveReason")
    )
    async def archive(name: str, list_name: str, request: Request) -> Response:
        """Archive a list that no rule reads; its entries are kept."""
        books, given = shelf.of(name), await parse_body(request, GiveReason, most)
        put_away = partial(books.lists.archive, list_name, who=who(request), why=given.note)
        return await _changed(shelf, name, list_name, put_away)


def _entries() -> dict[str, Any]:
    """Parse entries from the body: JSON, or CSV."""
    extra = requires("AddEntries")
    extra["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return extra


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
    shelf: Administration, name: str, list_name: str, work: Callable[[], Outcome | Waiting | None], *, status: int = 200
) -> Response:
    """Apply a change and answer with its result: 202 if it waits for approval."""
    books = shelf.of(name)
    done = await shelf.change(name, work)
    form = await shelf.look(lambda: _form(books, list_name))
    return json_answer(changed_form(form, done), 202 if isinstance(done, Waiting) else status)


def _form(books: RuleAdministration, list_name: str) -> ListForm:
    books.lists.one(list_name)
    return next(form for form in _forms(books) if form.name == list_name)


def _forms(books: RuleAdministration) -> list[ListForm]:
    counts, pending = books.lists.counts(), books.requests("pending")
    asking: dict[str, list[str]] = {}
    for rule in books.now().plan.rules:
        for each in rule.expression.lists:
            asking.setdefault(each, []).append(rule.name)
    return [list_form(kept, counts, asking, pending) for kept in books.lists.all()]
