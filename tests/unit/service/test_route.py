"""Routes as they are declared: which application has them, what their handlers get, and what is answered."""

import asyncio
from typing import Annotated

import httpx
import msgspec
import pytest
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from penstock.config import Settings
from penstock.identity.roles import Right
from penstock.service.http.openapi import document
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Body, Routes, table_of


class Shelf:
    admin = ("a", "b")


class Lamp:
    lit = True


class NewBook(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    pages: int = 1


class Book(msgspec.Struct):
    name: str
    pages: int
    lit: bool


route = Routes("records")


@route("GET", "/books", Right.READ, answers="Books")
async def admin(shelf: Shelf, /, most: Annotated[int, Query(ge=1)] = 9) -> list[str]:
    """All books."""
    return list(shelf.admin)[:most]


@route("POST", "/books/{place}", Right.AUTHOR, status=201, refuses=(404,))
async def add(shelf: Shelf, lamp: Lamp | None, /, place: int, body: Body[NewBook]) -> Book:
    """Add a book."""
    if place > len(shelf.admin):
        raise RequestRefused(404, "there is no such place")
    given = await body
    return Book(given.name, given.pages, lamp is not None)


@route("GET", "/raw", Right.READ, hidden=True)
async def raw(request: Request) -> bytes:
    return b'{"path":"%s"}' % request.url.path.encode()


@route("DELETE", "/books", Right.AUTHOR)
async def burn(_shelf: Shelf, /) -> Response:
    """Remove all."""
    return Response(status_code=204)


def served(*parts):
    async def refused(_request, error):
        return Response(error.problem, status_code=error.status)

    async def invalid(_request, _error):
        return Response(status_code=422)

    app = FastAPI(exception_handlers={RequestRefused: refused, RequestValidationError: invalid})
    for each in route:
        each.add(app, {type(part): part for part in (Settings(max_body_bytes=60), *parts)})
    return app


def asked(app, method, path, **options):
    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


def test_a_route_is_served_where_its_parts_are_and_gets_none_for_those_that_it_can_do_without():
    assert asked(served(Shelf()), "GET", "/books?most=1").json() == ["a"]
    assert asked(served(), "GET", "/books").status_code == 404
    assert asked(served(), "GET", "/raw").json() == {"path": "/raw"}
    lit = [
        asked(served(*parts), "POST", "/books/1", json={"name": "x"}).json()["lit"] for parts in [(Shelf(),), (Shelf(), Lamp())]
    ]
    assert lit == [False, True]


def test_a_returned_value_is_json_with_the_declared_status_and_a_response_is_sent_as_it_is():
    answer = asked(served(Shelf()), "POST", "/books/1", json={"name": "x", "pages": 3})
    assert (answer.status_code, answer.json()) == (201, {"name": "x", "pages": 3, "lit": False})
    assert answer.headers["content-type"] == "application/json"
    assert asked(served(Shelf()), "DELETE", "/books").status_code == 204


@pytest.mark.parametrize(
    ("place", "body", "status"),
    [(1, b'{"nam": "x"}', 422), (1, b"{", 400), (1, b'{"name": "' + b"x" * 60 + b'"}', 413), (9, b"{", 404), ("x", b"{}", 422)],
)
def test_a_body_is_read_when_the_handler_awaits_it(place, body, status):
    assert asked(served(Shelf()), "POST", f"/books/{place}", content=body).status_code == status


def test_rights_and_document_follow_from_the_declarations():
    rights = {("GET", "/books"): Right.READ, ("POST", "/books/{place}"): Right.AUTHOR}
    assert table_of(route) == rights | {("GET", "/raw"): Right.READ, ("DELETE", "/books"): Right.AUTHOR}
    found = document(served(Shelf()), route, {})
    assert found["paths"].keys() == {"/books", "/books/{place}"}
    assert {"Book", "Books", "NewBook", "Problem"} <= found["components"]["schemas"].keys()
    adding = found["paths"]["/books/{place}"]["post"]
    assert adding["operationId"] == "add"
    assert [each["name"] for each in adding["parameters"]] == ["place"]
    assert adding["requestBody"]["required"]
    assert adding["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/NewBook")
    assert adding["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/Book")
    assert {"404", "422", "503"} <= adding["responses"].keys()
