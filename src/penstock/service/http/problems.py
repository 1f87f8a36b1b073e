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


CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "too_large",
    414: "request_line_too_long",
    415: "unsupported_media_type",
    421: "wrong_host",
    422: "invalid",
    429: "rate_limited",
    431: "head_too_large",
    500: "internal_error",
    503: "unavailable",
}
"""The code of a problem that no more specific one names, by its status."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refused or failed request. `title` names the status, `detail` says what happened and what to do.

    code: for programs, stable between versions. type: the same as a URI.
    """

    title: str
    status: int
    detail: str
    code: str
    type: str
    errors: list[FieldError] = []
    instance: str | None = None


class RequestRefused(Exception):
    """A request that cannot be answered as asked; becomes a problem document and is not logged.

    reason: its name in the metrics, if it is counted. code: of the problem; that of the status unless given.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str | None, str]] = (),
        headers: Sequence[tuple[bytes, bytes]] = (),
        reason: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = status
        self.problem = problem(status, detail, errors, code=code)
        self.headers = tuple(headers)
        self.errors = tuple(errors)

    @classmethod
    def of(cls, refusal: Refusal) -> "RequestRefused":
        """A refused event as a refused request."""
        return cls(refusal.status, refusal.detail, refusal.errors, code=_code_of(refusal))


class Busy(RequestRefused):
    """The bounded queue is full: the caller should retry."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, detail, code="queue_full")


def problem(
    status: int,
    detail: str,
    errors: Sequence[tuple[str | None, str]] = (),
    instance: str | None = None,
    *,
    code: str | None = None,
) -> bytes:
    """A problem document as JSON.

    >>> msgspec.json.decode(problem(404, "there is no such page"))["type"]
    'urn:penstock:problem:not_found'
    """
    code = code or CODES[status]
    fields = [FieldError(field, message) for field, message in errors]
    title, uri = HTTPStatus(status).phrase, f"urn:penstock:problem:{code}"
    return msgspec.json.encode(Problem(title, status, printable(detail), code, uri, errors=fields, instance=instance))


def of_refusal(refusal: Refusal) -> bytes:
    """The problem document in the place of a decision."""
    return problem(refusal.status, refusal.detail, refusal.errors, code=_code_of(refusal))


def _code_of(refusal: Refusal) -> str | None:
    return {400: "invalid_json", 409: "conflict", 422: "invalid_event"}.get(refusal.status)


def of_error(error: BaseException) -> RequestRefused:
    """The HTTP form of a core error. An unexpected one is logged under an id, and the id returned."""
    match error:
        case RequestRefused():
            return error
        case NotReady():
            return RequestRefused(503, str(error), code="not_ready")
        case LedgerError():
            return RequestRefused(503, str(error), code="ledger_unavailable")
        case CapacityError():
            return RequestRefused(503, str(error), code="memory_full")
        case BrokerError():
            return RequestRefused(503, str(error), code="broker_unavailable")
        case MalformedEvent(field=field):
            return RequestRefused(422, str(error), [(field, str(error))], code="invalid_event")
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
