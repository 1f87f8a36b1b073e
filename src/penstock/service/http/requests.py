"""Request parsing and JSON answers that routes share."""

import itertools
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query, Request, Response
from starlette.requests import HTTPConnection

from penstock.clock import iso
from penstock.identity.roles import LOCAL, Actor, Right, rights
from penstock.ingest.kernel import READ
from penstock.ingest.times import FIRST_US, instants, outside
from penstock.service.http import bodies
from penstock.service.http.problems import RequestRefused
from penstock.service.http.query import parsed, truth
from penstock.service.http.rate_limit import TokenBucket

T = TypeVar("T", bound=msgspec.Struct)

ACTOR = "penstock.actor"
"""The key of the actor in a request's scope."""

VISIBLE = "penstock.visible"
"""The key of the detectors that a request may see in its scope, unless these are all."""

BUCKET = "penstock.bucket"
"""The key of the rate limit that a request counts towards in its scope, where there is one."""

REQUEST_ID = b"x-request-id"
"""The header of a request's id, in requests and in answers."""

_IDENTIFIER = re.compile(rb"[!-~]{1,128}")
_process, _numbers = secrets.token_hex(6).encode(), itertools.count(1)

DetectorName = Annotated[str | None, Query(description="Only this detector.", max_length=200)]

_LOST_PLUS = re.compile(r"(?<=[:\d]) (?=\d\d(:?\d\d)?$)")


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The id that a request brings, if it is 1 to 128 visible ASCII characters; else a new one."""
    for name, value in headers:
        if name == REQUEST_ID and _IDENTIFIER.fullmatch(value):
            return value
    return b"%b-%x" % (_process, next(_numbers))


def extra_headers(scope: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The headers of every answer to a request: its id, and what is left of the caller's rate limit."""
    limit: TokenBucket | None = scope.get(BUCKET)
    return [(REQUEST_ID, request_id(scope["headers"])), *(() if limit is None else limit.headers())]


def actor_of(request: HTTPConnection) -> Actor:
    """The actor of a request; in a service without access control, the local one."""
    found: Actor = request.scope.get(ACTOR, LOCAL)
    return found


def who(request: Request) -> str:
    """The actor's name."""
    return actor_of(request).name


def may(request: HTTPConnection, right: Right, detector: str | None = None) -> bool:
    """Whether the actor has one of these rights for a detector; for every one unless it is given."""
    return bool(right & rights(actor_of(request).roles, detector))


async def raw_body(request: Request, most_bytes: int) -> bytes:
    """The body.

    Raises:
        RequestRefused: as `bodies.read_body` does.
    """
    return await bodies.read_body(request.scope, request.receive, most_bytes)


async def parse_body(request: Request, form: type[T], most_bytes: int) -> T:
    """The body as `form`; missing fields have their defaults.

    Raises:
        RequestRefused: it is too large, no JSON, or does not fit the form.
    """
    return bodies.read_as(await raw_body(request, most_bytes), form)


async def text(request: Request, most_bytes: int) -> str:
    """The body, as text.

    Raises:
        RequestRefused: it is too large, or not UTF-8.
    """
    try:
        return (await raw_body(request, most_bytes)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestRefused(400, f"the body is not UTF-8: {error}") from None


def parse_instant(text: str | None, name: str) -> int | None:
    """A date, an ISO 8601 instant or seconds since 1970, in microseconds since 1970, parsed like an event time.

    Without a zone it is UTC. A plus sign that arrived as a space, because it was not encoded as %2B, is restored.

    >>> parse_instant("1970-01-02", "from"), parse_instant("1970-01-01T01:00:00 01:00", "from"), parse_instant(None, "from")
    (86400000000, 0, None)

    Raises:
        RequestRefused: 422, it is no instant, or outside 1970 to 2100.
    """
    if text is None:
        return None
    stated = _LOST_PLUS.sub("+", text.strip()) if "T" in text else text
    found, state = instants([stated], "UTC")
    if state[0] == READ and not outside(found, FIRST_US)[0]:
        return int(found[0])
    message = (
        "a date, an ISO 8601 instant or seconds since 1970 is expected, from 1970 to 2100, such as 2026-02-06 or"
        " 2026-02-06T10:00:00Z"
    )
    raise RequestRefused(422, f"{name}={text[:60]!r} is not understood: {message}", [(name, message)])


def dry_run(query: bytes) -> bool:
    """Whether the query of a hot-path request asks for a dry run.

    Raises:
        RequestRefused: 422, the value is neither true nor false.

    >>> dry_run(b""), dry_run(b"dry_run=true"), dry_run(b"dry_run=true&dry_run=false")
    (False, True, False)
    """
    return truth(parsed(query), "dry_run")


def is_own(origins: Sequence[str], host: str) -> bool:
    """Whether the origin is a page of this service, or a program, which sends no origin.

    Browsers allow WebSockets to other sites without asking, so a foreign page could otherwise read the decisions.

    >>> is_own(["http://fraud.example:8000"], "fraud.example:8000"), is_own(["http://elsewhere.example"], "fraud.example:8000")
    (True, False)
    """
    return all(host != "" and origin.partition("://")[2].lower() == host.lower() for origin in origins)


_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def json_response(body: bytes, status: int = 200) -> Response:
    """A response whose body is JSON already."""
    return Response(body, status_code=status, media_type="application/json")


def json_answer(found: Any, status: int = 200) -> Response:
    """Any value as JSON."""
    return json_response(msgspec.json.encode(found), status)


def page_answer(html: str) -> Response:
    """A page as an answer: it contains its styles and pictures, runs no scripts, and may be framed by the console."""
    return Response(html, media_type="text/html", headers=_PAGE_HEADERS)


def filled(form: type[T], source: object, **more: Any) -> T:
    """A response struct with the fields of a domain object by name; `x` or `x_at` is its `x_us` as ISO 8601.

    more: fields that are named or computed otherwise.

    >>> class Known(msgspec.Struct):
    ...     source: str
    ...     known_us: int
    >>> class Shown(msgspec.Struct):
    ...     known_at: str
    ...     source: str
    ...     by: str
    >>> filled(Shown, Known("bank", 0), by="ana")
    Shown(known_at='1970-01-01T00:00:00Z', source='bank', by='ana')
    """
    found: Mapping[str, Any] = {name: _field(source, name) for name in form.__struct_fields__ if name not in more}
    return form(**found, **more)


def _field(source: object, name: str) -> Any:
    if hasattr(source, name):
        return getattr(source, name)
    instant = f"{name}_us"
    us = getattr(source, instant if hasattr(source, instant) else f"{name.removesuffix('_at')}_us")
    return None if us is None else iso(us)
