"""Instants in query parameters, parsed like event times."""

import re

from penstock.ingest.kernel import READ
from penstock.ingest.times import FIRST_US, instants, outside
from penstock.service.http.problems import RequestRefused

_LOST_PLUS = re.compile(r"(?<=[:\d]) (?=\d\d(:?\d\d)?$)")


def parse_instant(text: str | None, name: str) -> int | None:
    """A date, an ISO 8601 instant or seconds since 1970, in microseconds since 1970; without a zone it is UTC.

    A plus sign that arrived as a space, because it was not encoded as %2B, is restored.

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
