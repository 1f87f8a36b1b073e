"""Request parsing and JSON responses that the changing routes share."""

from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response

from penstock.identity.roles import LOCAL, Actor
from penstock.service.access.rights import ACTOR
from penstock.service.http import bodies
from penstock.service.http.problems import RequestRefused

T = TypeVar("T", bound=msgspec.Struct)


def actor_name(request: Request) -> Actor:
    """The actor of a request."""
    found = request.scope.get(ACTOR, LOCAL)
    assert isinstance(found, Actor)
    return found


def who(request: Request) -> str:
    """The actor's name."""
    return actor_name(request).name


async def parse_body(request: Request, form: type[T], most_bytes: int) -> T:
    """The body as `form`; missing fields have their defaults.

    Raises:
        RequestRefused: it is too large, no JSON, or does not fit the form.
    """
    bodies.check_encoding(request.headers.raw)
    return bodies.read_as(await bodies.read_body(request.scope, request.receive, most_bytes), form)


async def text(request: Request, most_bytes: int) -> str:
    """The body, as text.

    Raises:
        RequestRefused: it is too large, or not UTF-8.
    """
    bodies.check_encoding(request.headers.raw)
    body = await bodies.read_body(request.scope, request.receive, most_bytes)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestRefused(400, f"the body is not UTF-8: {error}") from None


def json_answer(found: Any, status: int = 200) -> Response:
    """Any value as JSON."""
    return Response(msgspec.json.encode(found), status_code=status, media_type="application/json")
