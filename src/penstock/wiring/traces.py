"""Traces: the exporter from the settings, and sampling."""

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import penstock
from penstock.clock import system_clock
from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.stream.trace_context import CARRIED

if TYPE_CHECKING:
    from penstock.adapters.otel import Spans, Spell

Ids = tuple[int, int]
"""The ids of a trace and of a span in it."""

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1
_MOST_CARRIED = 100
_ASKED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's variables that enable traces without the setting."""


def spans_of(settings: Settings) -> "Spans | None":
    """The exporter of traces; None if they are disabled.

    Raises:
        MissingExtra: the extra `otel` is not installed.
        ConfigurationError: the setting is no URL.
    """
    if settings.traces is None and not any(map(os.environ.get, _ASKED)):
        return None
    if settings.traces is not None and not settings.traces.startswith(("http://", "https://")):
        raise ConfigurationError(f"traces = {settings.traces!r} is no receiver; it is written http://HOST:4318")
    from penstock.adapters.otel import Spans

    return Spans(settings.traces, version=penstock.__version__)


def parent_of(traceparent: bytes) -> tuple[Ids, bool] | None:
    """Trace and span of a W3C `traceparent`, and whether it is sampled; None for an invalid one.

    >>> parent_of(b"00-000000000000000000000000000000ff-00000000000000aa-01")
    ((255, 170), True)
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None or traceparent.startswith(b"ff"):
        return None
    trace, span, flags = (int(part, 16) for part in found.groups())
    return ((trace, span), bool(flags & _SAMPLED)) if trace and span else None


def new_ids(parent: Ids | None = None) -> Ids:
    """Ids of a new span: in a new trace, or in its parent's."""
    return parent[0] if parent is not None else secrets.randbits(128) or 1, secrets.randbits(64) or 1


def traceparent_of(ids: Ids) -> bytes:
    """The `traceparent` for children of a sampled span.

    >>> traceparent_of((255, 170))
    b'00-000000000000000000000000000000ff-00000000000000aa-01'
    """
    return b"00-%032x-%016x-01" % ids


class Every:
    """Samples a share of its calls, evenly: every tenth for 0.1.

    >>> every = Every(0.5)
    >>> [every() for _ in range(4)]
    [False, True, False, True]
    """

    def __init__(self, share: float) -> None:
        self._share, self._sum = share, 0.0

    def __call__(self) -> bool:
        """Whether this call is sampled."""
        self._sum += self._share
        chosen = self._sum >= 1
        self._sum -= chosen
        return chosen


class SentSpans:
    """Traces a share of a producer's messages. Called for each; returns its `traceparent`, empty if not sampled."""

    def __init__(self, spans: "Spans", share: float) -> None:
        self._spans, self._every = spans, Every(share)

    def __call__(self) -> bytes:
        """A message is sent now."""
        if not self._every():
            return b""
        ids, now_ns = new_ids(), system_clock() * 1000
        self._spans.add(("send", now_ns, now_ns), own=ids)
        return traceparent_of(ids)


class BatchSpans:
    """Traces micro-batches of a worker: a span each, with one for every stage. Called when a batch has been decided.

    A batch with traced events is part of their traces, of a hundred at most; of other batches a share is traced.
    """

    def __init__(self, spans: "Spans", detector: str, share: float) -> None:
        self._spans, self._detector, self._every = spans, detector, Every(share)

    def __call__(self, latency_ms: Mapping[str, float], events: int) -> None:
        """A batch of so many events was decided now."""
        parents: list[Ids | None] = [*_sampled(CARRIED.get())]
        if not parents and not self._every():
            return
        end_ns = system_clock() * 1000
        start_ns = end_ns - round(latency_ms["total"] * 1e6)
        attributes: dict[str, str | int] = {"penstock.detector": self._detector, "penstock.events": events}
        children = [(spell, ()) for spell in stages(latency_ms, start_ns)]
        for parent in parents or [None]:
            self._spans.add(("decide", start_ns, end_ns), children, parent=parent, attributes=attributes)


def _sampled(carried: Sequence[bytes]) -> Iterator[Ids]:
    """The sampled parent spans."""
    for found in map(parent_of, carried[:_MOST_CARRIED]):
        if found is not None and found[1]:
            yield found[0]


def stages(latency_ms: Mapping[str, float], start_ns: int) -> "list[Spell]":
    """The stages of a decision, one after the other.

    >>> stages({"decode": 0.001, "features": 0.002, "total": 0.003}, 0)
    [('decode', 0, 1000), ('features', 1000, 3000)]
    """
    found: list[Spell] = []
    for stage, spent_ms in latency_ms.items():
        if stage != "total":
            end_ns = start_ns + round(spent_ms * 1e6)
            found.append((stage, start_ns, end_ns))
            start_ns = end_ns
    return found
