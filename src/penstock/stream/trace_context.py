"""Trace context in messages: the sender's W3C `traceparent`, for the process that decides."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from penstock.stream.port import Message

TRACEPARENT = "traceparent"
"""The name of the message header, or of the field of an entry."""

CARRIED: ContextVar[Sequence[bytes]] = ContextVar("penstock_carried", default=())
"""The `traceparent` of each traced event of the batch that is being decided."""


@contextmanager
def with_trace_context(messages: Sequence[Message]) -> Iterator[None]:
    """A context that provides the trace contexts of these messages while they are decided."""
    token = CARRIED.set([message.trace for message in messages if message.trace])
    try:
        yield
    finally:
        CARRIED.reset(token)
