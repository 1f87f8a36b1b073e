"""Answers compressed by gzip, for clients that accept it."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send


class CompressedReads(GZipMiddleware):
    """Compresses long answers to GET requests: lists, figures, reports.

    Answers to events are sent as they are, since compressing a batch of decisions takes longer than deciding it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        compressed = scope["type"] == "http" and scope["method"] == "GET"
        await (super().__call__ if compressed else self.app)(scope, receive, send)
