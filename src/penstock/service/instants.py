"""Instants in query parameters: what people type, read generously and exactly."""

from datetime import UTC, datetime

from penstock.clock import to_us
from penstock.service.problems import RequestRefused

_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def instant_us(text: str | None, name: str) -> int | None:
    """A date or an ISO 8601 instant in microseconds since 1970; without a zone it is UTC.

    A plus sign that arrived as a space, because nobody wrote it as %2B, is taken for what it was.

    >>> instant_us("1970-01-02", "from"), instant_us("1970-01-01T01:00:00 01:00", "from"), instant_us(None, "from")
    (86400000000, 0, None)

    Raises:
        RequestRefused: 422, it is no instant, or one outside 1970 to 2199.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        if _EARLIEST <= aware < _LATEST:
            return to_us(aware)
    except (ValueError, OverflowError):
        pass
    message = "a date or an ISO 8601 instant from 1970 to 2199 is expected, such as 2026-02-06 or 2026-02-06T10:00:00Z"
    raise RequestRefused(422, f"{name}={text[:60]!r} is not understood: {message}", [(name, message)])
