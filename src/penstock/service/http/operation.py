"""Parts of an operation in the OpenAPI document: references to schemas, answers, refusals and bodies."""

from typing import Any

from penstock.service.http.problems import MEDIA_TYPE, Problem

REFERENCE = "#/components/schemas/{name}"

_REFUSALS = {
    400: "What was sent is not JSON.",
    401: "Who asks is not known: the key or session is missing, unknown, revoked or expired.",
    403: "Who asks may not do this.",
    404: "There is no such thing.",
    405: "The path is not for this method.",
    408: "The body took too long to arrive.",
    409: "Somebody else holds or has changed it, or the transaction is known from loaded history, without a decision.",
    413: "The body is too large.",
    414: "The request line is longer than `max_line_bytes`.",
    415: "Compressed bodies are not read.",
    422: "What was sent cannot be used; `errors` names the fields.",
    431: "A header, or the whole head, is too long, or it has too many headers.",
    429: "Too many: of what may run at once, or of requests by this key; see `Retry-After`.",
    503: "Not now: the queue is full, the ledger cannot write, or models and state are not loaded yet; see `Retry-After`.",
}
_DONE = {200: "Done.", 201: "Made.", 202: "Accepted, and durable."}


def ref(schema: type | str) -> dict[str, Any]:
    """A reference to a schema of the document."""
    return {"$ref": REFERENCE.format(name=schema if isinstance(schema, str) else schema.__name__)}


def part_of(schema: type | str) -> str:
    """The name of the schema of an answer of which only some fields were asked for."""
    return f"{schema if isinstance(schema, str) else schema.__name__}Part"


def answer(schema: type | str, status: int = 200, *, many: bool = False, parts: bool = False) -> dict[str, Any]:
    """The response object of an answer with this schema.

    many: or of an array of answers, with problems for refusals. parts: or of the fields that were asked for.
    """
    one = [ref(schema), *([ref(part_of(schema))] if parts else ())]
    several = [*one, {"type": "array", "items": {"anyOf": [*one, ref(Problem)]}}] if many else one
    return {"description": _DONE[status], "content": json_content(one[0] if len(several) == 1 else {"anyOf": several})}


def refusal(code: int) -> dict[str, Any]:
    """The response object of one refusal."""
    found: dict[str, Any] = {"description": _REFUSALS[code], "content": {MEDIA_TYPE: {"schema": ref(Problem)}}}
    if code in {429, 503}:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    return found


def body_of(schema: type | str, *, required: bool = True, many: bool = False, example: Any = None) -> dict[str, Any]:
    """FastAPI's `openapi_extra` of a route that reads one value; many: or an array of them."""
    one = ref(schema)
    several = {"anyOf": [one, {"type": "array", "items": one}]}
    content = json_content(several if many else one)
    if example is not None:
        content["application/json"]["example"] = example
    return {"requestBody": {"required": required, "content": content}}


def json_content(schema: dict[str, Any]) -> dict[str, Any]:
    """The content of a JSON body."""
    return {"application/json": {"schema": schema}}


def text_content(media_type: str, example: str | None = None) -> dict[str, Any]:
    """The content of a body of text."""
    return {media_type: {"schema": {"type": "string"}, **({} if example is None else {"example": example})}}
