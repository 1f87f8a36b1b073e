"""Pagination of recorded decisions, newest first, also across several detectors."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from penstock.service.http.problems import RequestRefused
from penstock.service.port import Serving

_LONGEST = 18
"""Digits of a sequence number; more would not fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The filters of the list; None is no condition."""

    limit: int
    decision: str | None = None
    entity: str | None = None
    key: str | None = None
    rule: str | None = None
    from_us: int | None = None
    to_us: int | None = None


class _Decided(msgspec.Struct):
    decided_at: str


def page(desks: Sequence[Serving], asked: PageRequest, before: str | None) -> tuple[list[bytes], str | None]:
    """One page, and the value of `before` for the next (None: it is the last)."""
    if len(desks) == 1:
        return _fetch(desks[0], asked, None if before is None else _checked(before))
    cursors = _read_cursors(before, [desk.name for desk in desks])
    fetched = {desk.name: _fetch(desk, asked, cursors[desk.name]) for desk in desks if desk.name in cursors}
    merged = sorted(
        ((_decided_at(decision), name, decision) for name, (decisions, _) in fetched.items() for decision in decisions),
        key=lambda found: found[0],
        reverse=True,
    )[: asked.limit]
    following: dict[str, str | None] = {}
    for desk in desks:
        if desk.name in fetched:
            shown = sum(name == desk.name for _, name, _ in merged)
            following |= _following(desk, asked, cursors[desk.name], shown, fetched[desk.name])
    return [decision for _, _, decision in merged], _write_cursors(following)


def _fetch(desk: Serving, asked: PageRequest, before: str | None) -> tuple[list[bytes], str | None]:
    return desk.engine.history.transactions(
        limit=asked.limit,
        before=before,
        decision=asked.decision,
        entity=asked.entity,
        key=asked.key,
        rule=asked.rule,
        from_us=asked.from_us,
        to_us=asked.to_us,
    )


def _following(
    desk: Serving, asked: PageRequest, before: str | None, shown: int, fetched: tuple[list[bytes], str | None]
) -> dict[str, str | None]:
    """Where this detector's next page begins; empty if all of it was shown."""
    decisions, cursor = fetched
    if shown == len(decisions):
        return {} if cursor is None else {desk.name: cursor}
    if shown == 0:
        return {desk.name: before}
    return {desk.name: _fetch(desk, replace(asked, limit=shown), before)[1]}


def _decided_at(decision: bytes) -> str:
    return msgspec.json.decode(decision, type=_Decided).decided_at


def _read_cursors(before: str | None, names: Sequence[str]) -> dict[str, str | None]:
    if before is None:
        return dict.fromkeys(names)
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(before), type=dict[str, str | None])
    except (ValueError, msgspec.MsgspecError):
        raise _not_a_cursor(before) from None
    return {name: None if cursor is None else _checked(cursor) for name, cursor in found.items()}


def _checked(cursor: str) -> str:
    """Validate a cursor of an engine, which is a sequence number."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _LONGEST):
        raise _not_a_cursor(cursor)
    return cursor


def _not_a_cursor(text: str) -> RequestRefused:
    message = "the `next` of the page before is expected"
    return RequestRefused(422, f"before={text[:60]!r} is not understood: {message}", [("before", message)])


def _write_cursors(cursors: dict[str, str | None]) -> str | None:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursors)).decode() if cursors else None
