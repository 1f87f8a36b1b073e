"""What a caller asks for beside a decision: the query parameters of the routes that take a detector's events."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from fastapi import Query

from penstock.decoding import prepared
from penstock.ingest.refusals import refused_unknown
from penstock.messages import Refusal
from penstock.service.decide.port import Answer, ServedDetector
from penstock.service.http.problems import RequestRefused
from penstock.service.http.projection import EXPLAIN, FIELDS, Projection, projection
from penstock.service.http.query import parsed, refuse_unknown, truth

T = TypeVar("T")
Asking = Callable[[ServedDetector, Sequence[bytes]], Awaitable[list[T | Refusal]]]
"""Sends the events of one detector; returns the answers in order."""

_CONFLICT = b',"conflict":true}'
_REFUSE = "409"

STRICT = "Refuse an event with a field that its type does not declare, in place of ignoring the field."
Strict = Annotated[bool, Query(description=STRICT)]

PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dry_run": ("Decide without changing or recording anything.", {"type": "boolean", "default": False}),
    "explain": (EXPLAIN, {"type": "boolean", "default": True}),
    "fields": (FIELDS, {"type": "string", "maxLength": 2000}),
    "strict": (STRICT, {"type": "boolean", "default": False}),
    "conflict": (
        "`409` refuses an id that was decided before, for other content; `flag` answers that decision with `conflict: true`.",
        {"type": "string", "enum": ["flag", _REFUSE], "default": "flag"},
    ),
}
"""The query parameters of predict requests: description and schema."""


class _Named(msgspec.Struct):
    transaction_id: str


_named = msgspec.json.Decoder(prepared(_Named))


class PredictOptions(NamedTuple):
    """What a predict request asks for.

    dry_run: nothing is changed or recorded. strict: unknown fields are refused. refuse_conflict: an id that was decided for
    other content is refused. chosen: the parts of decisions that are answered, all without it.
    """

    dry_run: bool = False
    strict: bool = False
    refuse_conflict: bool = False
    chosen: Projection | None = None

    def of(self, answer: Answer) -> Answer:
        """The answer as it was asked for."""
        if isinstance(answer, Refusal):
            return answer
        if self.refuse_conflict and answer.endswith(_CONFLICT):
            named = _named.decode(answer).transaction_id
            return Refusal(409, f"{named!r} was decided before, for an event with other content: use an id once")
        return answer if self.chosen is None else self.chosen(answer)


PLAIN = PredictOptions()


def options(query: bytes) -> PredictOptions:
    """The options of a query.

    >>> options(b"conflict=409&dry_run=1")
    PredictOptions(dry_run=True, strict=False, refuse_conflict=True, chosen=None)

    Raises:
        RequestRefused: 422, a parameter is unknown, or its value.
    """
    if not query:
        return PLAIN
    refuse_unknown(query, PARAMETERS)
    given = parsed(query)
    conflict = given.get("conflict", "flag")
    if conflict not in {"flag", _REFUSE}:
        raise RequestRefused(422, f"conflict is {conflict[:40]!r}; expected flag or 409", [("conflict", "flag or 409")])
    explain = truth({"explain": "true", **given}, "explain")
    return PredictOptions(
        truth(given, "dry_run"), truth(given, "strict"), conflict == _REFUSE, projection(given.get("fields"), explain=explain)
    )


def strictly(ask: Asking[T], *, keep: bool = True) -> Asking[T]:
    """`ask` for the events that have no unknown field; the others are refused. keep: quarantine these."""

    async def asking(served: ServedDetector, events: Sequence[bytes]) -> list[T | Refusal]:
        refusals = [refused_unknown(served.engine.detector.schema, event) for event in events]
        known = [event for event, refusal in zip(events, refusals, strict=True) if refusal is None]
        answers = iter(await ask(served, known) if known else [])
        for event, refusal in zip(events, refusals, strict=True):
            if refusal is not None and keep:
                served.quarantine_refused(event, refusal)
        return [next(answers) if refusal is None else refusal for refusal in refusals]

    return asking
