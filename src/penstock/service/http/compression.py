"""Answers compressed by gzip, for clients that accept it."""

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

LONG = 2_000
"""From how many bytes answers are compressed."""

_FAST = 4
"""The level of gzip: a tenth to a quarter longer than at level 9, in two fifths of the time."""

_AS_THEY_ARE = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/octet-stream")


class CompressedReads(GZipMiddleware):
    """Compresses long answers to GET requests: lists, figures, reports.

    Answers to events are sent as they are, since compressing a batch of decisions takes longer than deciding it.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=LONG, compresslevel=_FAST, exclude_content_types=_AS_THEY_ARE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        compressed = scope["type"] == "http" and scope["method"] == "GET"
        await (super().__call__ if compressed else self.app)(scope, receive, send)
