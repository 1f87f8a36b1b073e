"""Log lines on standard error: for people, or one JSON object each."""

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.config import Settings

CONTEXT = (
    *("detector", "shard", "transaction_id", "request_id", "decision", "latency_ms", "method", "route", "status"),
    *("event", "way", "address", "user", "name_hash", "reason"),
)
"""Optional fields of a line besides its message: `log.info(..., extra={"transaction_id": ...})`."""

_log = logging.getLogger("penstock")


def begin_logging(settings: "Settings", detector: str | None = None) -> None:
    """Configure logging from the settings. detector: the only one of this process, added to every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines(detector) if settings.log_format == "json" else logging.Formatter("%(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _OTHERS:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    logging.captureWarnings(capture=settings.log_format == "json")


_OTHERS = ("asyncio", "numba", "matplotlib", "websockets", "uvicorn")
"""Libraries whose debug messages are not logged, whatever the level."""


def announce(message: str) -> None:
    """Show a message to the person at the terminal, or write it to the log if programs read it."""
    if in_json():
        _log.info(message)
        return
    from penstock.cli.options import say

    say(message)


def in_json() -> bool:
    """Whether standard error holds one JSON object per line."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


class JsonLines(logging.Formatter):
    """Formats one JSON object per line: `time` (ISO 8601, UTC), `level`, `logger`, `message`, the known fields of
    `CONTEXT`, and an error's kind, text and traceback.

    >>> record = logging.LogRecord("penstock", logging.INFO, "", 0, "%s events", (3,), None)
    >>> record.created = 0.0
    >>> JsonLines("card").format(record)
    '{"time":"1970-01-01T00:00:00Z","level":"info","logger":"penstock","message":"3 events","detector":"card"}'
    """

    def __init__(self, detector: str | None = None) -> None:
        super().__init__()
        self._known = {} if detector is None else {"detector": detector}

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        import msgspec

        from penstock.clock import iso

        line: dict[str, object] = {
            "time": iso(round(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().encode("utf-8", "replace").decode(),
            **self._known,
        }
        line |= {name: getattr(record, name) for name in CONTEXT if hasattr(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = {
                "kind": type(error).__name__,
                "text": str(error),
                "traceback": self.formatException(record.exc_info),
            }
        return msgspec.json.encode(line, enc_hook=str).decode()
