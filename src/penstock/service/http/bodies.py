"""Request bodies: read within limits, and split into raw events."""

import asyncio
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from penstock.config import Settings
from penstock.decoding import prepared
from penstock.errors import did_you_mean
from penstock.ingest.worded import worded
from penstock.messages import Refusal
from penstock.service.http.problems import RequestRefused

F = TypeVar("F", bound=msgspec.Struct)

MOST_EVENTS = 65_536
"""Maximum of events in one request; more are better sent in parts."""

BODY_TIMEOUT = "penstock.body_timeout_s"
"""The key in a request's scope of the time limit for its body."""

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
CSV = b"text/csv"
_NDJSON_NAMES = frozenset({NDJSON, b"application/ndjson", b"application/jsonl", b"application/x-jsonlines"})

_INLINE_BYTES = 16_384
"""Compressed bodies of fewer bytes are decompressed at once; others in a thread, while other requests are answered."""

_GZIP = 16 + zlib.MAX_WBITS

_elements = msgspec.json.Decoder(list[msgspec.Raw])
_names = msgspec.json.Decoder(dict[str, msgspec.Raw])


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """The value of a header (lower-case name), or empty bytes."""
    for key, value in headers:
        if key == name:
            return value
    return b""


def is_ndjson(content_type: bytes) -> bool:
    """Whether the body is one JSON value per line. Everything else is read as one JSON value."""
    return bool(content_type) and content_type.split(b";", 1)[0].strip().lower() in _NDJSON_NAMES


def is_csv(content_type: bytes) -> bool:
    """Whether the body is a table of text."""
    return content_type.split(b";", 1)[0].strip().lower() == CSV


def read_as(body: bytes, form: type[F]) -> F:
    """Decode a JSON body into `form`; an empty body yields its defaults.

    Raises:
        RequestRefused: 400 it is not JSON, 422 it does not fit; names the place.
    """
    return decoded(body.strip() or b"{}", form)


def check_fields(body: bytes, form: type[msgspec.Struct]) -> None:
    """Refuse a JSON object with fields that a form does not have.

    Raises:
        RequestRefused: 422, with the names that may be meant.
    """
    known = form.__struct_encode_fields__
    unknown = [name for name in _names.decode(body) if name not in known]
    if unknown:
        errors = [(name[:200], f"{name[:200]} is not a field here.{did_you_mean(name, known)}") for name in unknown[:20]]
        raise RequestRefused(422, errors[0][1], errors)


def decoded(body: bytes, form: type[F]) -> F:
    """Decode a JSON body into `form`.

    Raises:
        RequestRefused: as `read_as` does; 400 also if it is empty.
    """
    try:
        return msgspec.json.decode(body, type=prepared(form))
    except msgspec.ValidationError as error:
        fault = worded(error, body, form.__struct_encode_fields__)
        raise RequestRefused(422, fault[1], [fault]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


async def read_body(scope: Any, receive: Any, most_bytes: int) -> bytes:
    """The whole body; one that is compressed by gzip is decompressed.

    Raises:
        RequestRefused: 413 larger than allowed, compressed or not, 415 compressed otherwise, 408 too slow, 400 the client went
            away, or it is not what it says.
    """
    compressed = _is_compressed(scope["headers"])
    body = await _read_as_sent(scope, receive, most_bytes)
    if not compressed:
        return body
    if len(body) < _INLINE_BYTES:
        return decompressed(body, most_bytes)
    return await asyncio.to_thread(decompressed, body, most_bytes)


async def _read_as_sent(scope: Any, receive: Any, most_bytes: int) -> bytes:
    _check_announced(scope["headers"], most_bytes)  # before it is requested
    message = await receive()
    if message.get("more_body"):
        return await _read_on(message, receive, most_bytes, scope.get(BODY_TIMEOUT, Settings().body_timeout_s))
    if message["type"] == "http.disconnect":
        raise RequestRefused(400, "the connection was closed before the body was complete")
    body: bytes = message.get("body", b"")
    if len(body) > most_bytes:
        raise _too_large(most_bytes)
    return body


async def _read_on(first: Any, receive: Any, most_bytes: int, within_s: float) -> bytes:
    parts, size, message = [first.get("body", b"")], len(first.get("body", b"")), first
    try:
        async with asyncio.timeout(within_s):
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RequestRefused(400, "the connection was closed before the body was complete")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise RequestRefused(
            408, f"the body was not complete within body_timeout_s = {within_s:g} seconds", headers=[(b"connection", b"close")]
        ) from None
    return b"".join(parts)


def _check_announced(headers: Iterable[tuple[bytes, bytes]], most_bytes: int) -> None:
    announced = header(headers, b"content-length")
    if announced.isdigit() and int(announced[:20]) > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> RequestRefused:
    return RequestRefused(
        413,
        f"the body is larger than the {most_bytes} bytes that are read here; send it in parts, or raise max_body_bytes if that "
        "is the limit",
        headers=[(b"connection", b"close")],
    )


def _is_compressed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a body is compressed by gzip.

    Raises:
        RequestRefused: 415, it is compressed otherwise.
    """
    encoding = header(headers, b"content-encoding").strip().lower()
    if encoding not in {b"", b"identity", b"gzip", b"x-gzip"}:
        named = encoding[:40].decode("latin-1")
        raise RequestRefused(
            415,
            f"a body with Content-Encoding: {named} is not read; send it as it is, or compressed by gzip",
            headers=[(b"accept-encoding", b"gzip")],
        )
    return encoding in {b"gzip", b"x-gzip"}


def decompressed(body: bytes, most_bytes: int) -> bytes:
    """Decompress gzip data up to a number of bytes; it never decompresses more.

    Raises:
        RequestRefused: 413 it is more; 400 it is no gzip, or not all of one.
    """
    inflate = zlib.decompressobj(wbits=_GZIP)
    try:
        found = inflate.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise RequestRefused(400, f"the body is not compressed by gzip, as its Content-Encoding says: {error}") from None
    if len(found) > most_bytes:
        raise _too_large(most_bytes)
    if not inflate.eof or inflate.unused_data:
        raise RequestRefused(400, "the body is not one whole gzip stream: something is missing at its end, or follows it")
    return found


def elements(body: bytes) -> list[bytes]:
    """The elements of a JSON array, each as its own JSON text.

    >>> elements(b'[{"a": 1}, 2]')
    [b'{"a": 1}', b'2']

    Raises:
        RequestRefused: 400, it is not JSON.
    """
    try:
        return [bytes(raw) for raw in _elements.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def lines(body: bytes) -> list[bytes]:
    r"""The values of an NDJSON body, one per line; empty lines are skipped.

    >>> lines(b'{"a": 1}\r\n\n2\n')
    [b'{"a": 1}', b'2']
    """
    return [line for raw in body.split(b"\n") if (line := raw.strip())]


def counted(events: list[bytes]) -> list[bytes]:
    """Check the number of events in one request.

    Raises:
        RequestRefused: 413, there are more than one request may hold.
    """
    if len(events) > MOST_EVENTS:
        raise RequestRefused(413, f"the request holds {len(events)} events and {MOST_EVENTS} are allowed; send it in parts")
    return events


class Given(NamedTuple):
    """The raw JSON values of a request, and their form, in which they are answered."""

    values: list[bytes]
    form: Literal["one", "array", "lines"]


def elements_or(body: bytes, on_refused: Callable[[Refusal], None]) -> list[bytes]:
    """The elements of a JSON array, as `elements` finds them; on_refused: called with the refusal of invalid JSON."""
    try:
        return elements(body)
    except RequestRefused as refused:
        on_refused(Refusal(refused.status, str(refused)))
        raise


async def read_values(
    scope: Any, receive: Any, most_bytes: int, on_refused: Callable[[bytes, Refusal], None] = lambda _body, _refusal: None
) -> Given:
    """Read a body that is one JSON value, an array of them, or NDJSON. on_refused: called with the refusal of an invalid array.

    Raises:
        RequestRefused: as `read_body` does; 400 empty, or no JSON.
    """
    body = await read_body(scope, receive, most_bytes)
    if is_ndjson(header(scope["headers"], b"content-type")):
        return Given(lines(body), "lines")
    if first_byte(body) == b"[":
        return Given(elements_or(body, partial(on_refused, body)), "array")
    if not body.strip():
        raise RequestRefused(400, "the body is empty; send a JSON object or an array of them")
    return Given([body], "one")


def first_byte(body: bytes) -> bytes:
    """The first byte that is not white space: `{` begins an object, `[` an array."""
    return body[:1] if body[:1] in {b"{", b"["} else body.lstrip(b" \t\r\n")[:1]


def not_json(error: Exception) -> RequestRefused:
    """The refusal 400, with the position of the JSON error."""
    return RequestRefused(400, f"the body is not valid JSON: {error}", code="invalid_json")
