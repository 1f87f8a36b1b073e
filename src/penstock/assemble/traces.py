"""Traces: from the settings to what sends them."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import penstock
from penstock.clock import system_clock
from penstock.config import Settings
from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.adapters.otel import Spans, Spell

_ASKED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables of OpenTelemetry's own that ask for traces where the setting does not."""


def spans_of(settings: Settings) -> "Spans | None":
    """What sends traces; None where nobody asks for them.

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


class Every:
    """Says yes to a share of those who ask, evenly: to every tenth for 0.1.

    >>> every = Every(0.5)
    >>> [every() for _ in range(4)]
    [False, True, False, True]
    """

    def __init__(self, share: float) -> None:
        self._share, self._sum = share, 0.0

    def __call__(self) -> bool:
        """Whether this one is chosen."""
        self._sum += self._share
        chosen = self._sum >= 1
        self._sum -= chosen
        return chosen


class BatchSpans:
    """Traces micro-batches of a worker: a span each, with one for every stage. Called when a batch has been decided."""

    def __init__(self, spans: "Spans", detector: str, share: float) -> None:
        self._spans, self._detector, self._every = spans, detector, Every(share)

    def __call__(self, latency_ms: Mapping[str, float], events: int) -> None:
        """A batch of so many events was decided, just now."""
        if not self._every():
            return
        end_ns = system_clock() * 1000
        start_ns = end_ns - round(latency_ms["total"] * 1e6)
        attributes: dict[str, str | int] = {"penstock.detector": self._detector, "penstock.events": events}
        children = [(spell, ()) for spell in stages(latency_ms, start_ns)]
        self._spans.add(("decide", start_ns, end_ns), children, attributes=attributes)


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
