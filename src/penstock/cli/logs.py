"""Log lines on standard error: for people, or one JSON object each."""

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.config import Settings


def begin_logging(settings: "Settings") -> None:
    """Log as the settings say, from here on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if settings.log_format == "json" else logging.Formatter("%(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())


class JsonLines(logging.Formatter):
    """One JSON object per line: time in seconds since 1970, level, logger, message, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        import msgspec

        line = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
