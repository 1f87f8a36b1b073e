"""Tracing of requests: which are sampled, and their spans, from times that are measured anyway."""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.clock import system_clock
from penstock.wiring.traces import Every, Ids, new_ids, parent_of, stages, traceparent_of

if TYPE_CHECKING:
    from penstock.adapters.otel import Spans, Spell


class Traced:
    """A traced request and what is recorded about it.

    answer: the first decision in its answer. ids: of its span. Times are of `perf_counter_ns`.
    """

    __slots__ = ("answer", "began_ns", "ids", "offset_ns", "parent", "spells")

    def __init__(self, parent: Ids | None) -> None:
        self.parent, self.ids = parent, new_ids(parent)
        self.began_ns = time.perf_counter_ns()
        self.offset_ns = system_clock() * 1000 - self.began_ns
        self.spells: list[Spell] = []
        self.answer: bytes | None = None

    def went(self, name: str, start_ns: int, end_ns: int) -> None:
        """Record a finished stage."""
        self.spells.append((name, start_ns + self.offset_ns, end_ns + self.offset_ns))

    @property
    def traceparent(self) -> bytes:
        """The trace context for work that another process does."""
        return traceparent_of(self.ids)


CURRENT: ContextVar[Traced | None] = ContextVar("penstock_traced", default=None)
"""The traced request that the running task answers."""


class Tracing:
    """Samples a share of the requests, and those whose callers trace them; never those whose callers opt out."""

    def __init__(self, spans: "Spans", share: float) -> None:
        self._spans, self._every = spans, Every(share)

    def begin(self, headers: list[tuple[bytes, bytes]]) -> Traced | None:
        """Start tracing a request; None if it is not sampled."""
        for name, value in headers:
            if name == b"traceparent":
                found = parent_of(value)
                if found is not None:
                    parent, sampled = found
                    return Traced(parent) if sampled else None
        return Traced(None) if self._every() else None

    def end(self, traced: Traced, route: str, status: int) -> None:
        """Finish the trace of an answered request."""
        end_ns = time.perf_counter_ns() + traced.offset_ns
        said = _said(traced.answer)
        about: dict[str, str | int] = {"http.request.method": "POST", "http.route": route, "http.response.status_code": status}
        named = {f"penstock.{key}": str(said[key]) for key in ("detector", "transaction_id", "decision") if key in said}
        children = [
            (spell, stages(said.get("latency_ms", {}), spell[1]) if spell[0] == "decide" else []) for spell in traced.spells
        ]
        spell = (f"POST {route}", traced.began_ns + traced.offset_ns, end_ns)
        failed = status >= 500
        attributes = {**about, **named}
        self._spans.add(
            spell, children, parent=traced.parent, own=traced.ids, server=True, failed=failed, attributes=attributes
        )


def _said(answer: bytes | None) -> Mapping[str, Any]:
    """The span attributes of a decision."""
    return {} if answer is None else msgspec.json.decode(answer, type=dict[str, Any])
