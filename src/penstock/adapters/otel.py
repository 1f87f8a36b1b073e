"""Trace export over OTLP (HTTP, protobuf): finished spans go to OpenTelemetry's SDK, which sends them in batches."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from penstock.errors import MissingExtra

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
except ImportError as error:  # pragma: no cover -- shown in an environment without it
    raise MissingExtra("otel", "sending traces") from error

Spell = tuple[str, int, int]
"""What a piece of work is called, when it began and when it ended, in nanoseconds since 1970."""

_PATH = "/v1/traces"
_LINGER_S = 2.0


class Spans:
    """Exporter of spans. `add` is thread-safe and never waits: spans that cannot be sent are dropped.

    url: of the receiver, `http://HOST:4318`; by default from OpenTelemetry's variables.
    """

    def __init__(self, url: str | None, *, version: str) -> None:
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "penstock"}
        self._ids = _Ids()
        resource = Resource.create({**named, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=self._ids)
        self._exporter = OTLPSpanExporter() if url is None else OTLPSpanExporter(endpoint=url.rstrip("/") + _PATH)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("penstock", version)

    def add(
        self,
        spell: Spell,
        children: Iterable[tuple[Spell, Sequence[Spell]]] = (),
        *,
        parent: tuple[int, int] | None = None,
        own: tuple[int, int] | None = None,
        server: bool = False,
        failed: bool = False,
        attributes: Mapping[str, str | int] | None = None,
    ) -> None:
        """Add a span and its children, two levels deep.

        parent: trace and span that it belongs to. own: its ids, where they were sent to others before. server: it answered
        a request. failed: it ended in an error.
        """
        from opentelemetry.trace import Status, StatusCode

        name, start_ns, end_ns = spell
        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        with self._ids.given(own):
            span = self._tracer.start_span(name, _context(parent), kind, dict(attributes or {}), start_time=start_ns)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        inside = set_span_in_context(span, Context())
        for (child, child_start_ns, child_end_ns), parts in children:
            found = self._tracer.start_span(child, inside, start_time=child_start_ns)
            within = set_span_in_context(found, Context())
            for part, part_start_ns, part_end_ns in parts:
                self._tracer.start_span(part, within, start_time=part_start_ns).end(part_end_ns)
            found.end(child_end_ns)
        span.end(end_ns)

    def close(self) -> None:
        """Send the remaining spans, without waiting for a receiver that does not answer."""
        giving_up = threading.Timer(_LINGER_S, self._exporter.shutdown)
        giving_up.start()
        self._provider.shutdown()
        giving_up.cancel()


class _Ids(RandomIdGenerator):
    """Ids by chance, or those that were given to others before there was a span."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextmanager
    def given(self, own: tuple[int, int] | None) -> Iterator[None]:
        """Spans that this thread begins meanwhile have this trace and number."""
        self._of_thread.own = own
        try:
            yield
        finally:
            self._of_thread.own = None

    def generate_trace_id(self) -> int:
        """See `IdGenerator`."""
        own = getattr(self._of_thread, "own", None)
        return super().generate_trace_id() if own is None else int(own[0])

    def generate_span_id(self) -> int:
        """See `IdGenerator`."""
        own = getattr(self._of_thread, "own", None)
        return super().generate_span_id() if own is None else int(own[1])


def _context(parent: tuple[int, int] | None) -> Context:
    if parent is None:
        return Context()
    found = SpanContext(*parent, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(found), Context())
