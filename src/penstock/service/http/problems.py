"""Refusals and failures as `application/problem+json` (RFC 9457), and the mapping of errors to statuses."""

import logging
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from penstock.errors import (
    BrokerError,
    CapacityError,
    Conflict,
    DeclarationError,
    Forbidden,
    LedgerError,
    MalformedEvent,
    NotFound,
    NotReady,
)
from penstock.messages import Refusal

log = logging.getLogger("penstock.service")

MEDIA_TYPE = "application/problem+json"
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""A header of every answer: browsers must not guess the content type."""
NO_STORE = (b"cache-control", b"no-store")
"""A header of every answer without another cache policy: it may hold personal values."""

RETRY_AFTER_S = 1
"""The value of `Retry-After`: a full queue empties well within a second."""


class FieldError(msgspec.Struct, frozen=True):
    """One invalid field; null for the whole event."""

    field: str | None
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refused or failed request. `title` names the status, `detail` says what happened and what to do."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: list[FieldError] = []
    instance: str | None = None


class RequestRefused(Exception):
    """A request that cannot be answered as asked; becomes a problem document and is not logged.

    reason: its name in the metrics, if it is counted.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str | None, str]] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        reason: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = status
        self.problem = problem(status, detail, errors)
        self.headers = tuple(headers)


class Busy(RequestRefused):
    """The bounded queue is full: the caller should retry."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail)


def problem(status: int, detail: str, errors: Sequence[tuple[str | None, str]] = (), instance: str | None = None) -> bytes:
    """A problem document as JSON.

    >>> problem(404, "there is no such page")
    b'{"title":"Not Found","status":404,"detail":"there is no such page"}'
    """
    fields = [FieldError(field, message) for field, message in errors]
    return msgspec.json.encode(Problem(HTTPStatus(status).phrase, status, printable(detail), errors=fields, instance=instance))


def of_refusal(refusal: Refusal) -> bytes:
    """The problem document in the place of a decision."""
    return problem(refusal.status, refusal.detail, refusal.errors)


def of_error(error: BaseException) -> RequestRefused:
    """The HTTP form of a core error. An unexpected one is logged under an id, and the id returned."""
    match error:
        case RequestRefused():
            return error
        case NotReady() | LedgerError() | CapacityError() | BrokerError():
            return RequestRefused(503, str(error))
        case MalformedEvent(field=field):
            return RequestRefused(422, str(error), [(field, str(error))])
        case DeclarationError() | NotFound():
            return RequestRefused(404, str(error))
        case Forbidden():
            return RequestRefused(403, str(error))
        case Conflict():
            return RequestRefused(409, str(error))
    return unexpected(error)


def unexpected(error: BaseException) -> RequestRefused:
    """A bug: logged with its traceback under an id that the caller gets."""
    reference = secrets.token_hex(6)
    log.error("unexpected error %s", reference, exc_info=error, extra={"request_id": reference})
    refused = RequestRefused(500, f"an unexpected error, recorded in the log as {reference}; the request may be sent again")
    refused.problem = problem(500, str(refused), instance=f"urn:penstock:error:{reference}")
    return refused


def printable(text: str) -> str:
    """The text without lone surrogates, which JSON in UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()


def headers(status: int, length: int, extra: Sequence[tuple[bytes, bytes]] = ()) -> list[tuple[bytes, bytes]]:
    """The headers of a problem document."""
    found = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % length), NO_SNIFFING, *extra]
    if status in {429, 503} and all(name != b"retry-after" for name, _ in extra):
        found.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return found


async def send_problem(send: Any, refused: RequestRefused) -> None:
    """Answer an ASGI request with a problem document."""
    body = refused.problem
    await send(
        {
            "type": "http.response.start",
            "status": refused.status,
            "headers": headers(refused.status, len(body), refused.headers),
        }
    )
    await send({"type": "http.response.body", "body": body})
