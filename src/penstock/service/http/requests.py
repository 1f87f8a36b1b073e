"""What routes that change something share: who asks, what the body says, how it is answered."""

from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response

from penstock.identity.roles import LOCAL, Actor
from penstock.service.access.rights import ACTOR
from penstock.service.http import bodies
from penstock.service.http.problems import RequestRefused

T = TypeVar("T", bound=msgspec.Struct)


def actor_name(request: Request) -> Actor:
    """Who asks."""
    found = request.scope.get(ACTOR, LOCAL)
    assert isinstance(found, Actor)
    return found


def who(request: Request) -> str:
    """The name of who asks."""
    return actor_name(request).name


async def parse_body(request: Request, form: type[T], most_bytes: int) -> T:
    """The body, as this form; what it lacks has its default.

    Raises:
        RequestRefused: it is too large, no JSON, or says something else.
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
