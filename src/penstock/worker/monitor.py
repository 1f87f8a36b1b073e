"""A worker's health, readiness and metrics over HTTP."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from penstock.errors import ConfigurationError

Status = list[dict[str, Any]]

_GAUGES = {
    "owner": ("penstock_worker_owner", "1 where this process decides for the shard, 0 where it stands by."),
    "fence": ("penstock_worker_fence", "The number of the shard's newest owner."),
    "lag": ("penstock_worker_lag_messages", "Messages that wait in the inbox."),
    "position": ("penstock_worker_position", "Records in this process's copy of the journal."),
}


class Monitor:
    """Answers `/health`, `/ready` and `/metrics` on a port of its own, in threads.

    Args:
        status: how each shard stands: see `Seat.status`.
        detector: whose worker this is.

    Raises:
        ConfigurationError: the address cannot be had.
    """

    def __init__(self, status: Callable[[], Status], detector: str, host: str, port: int) -> None:
        self._status = status
        self._registry = CollectorRegistry()
        self._registry.register(ShardCollector(status, detector))
        ProcessCollector(registry=self._registry)
        try:
            self._server = ThreadingHTTPServer((host, port), self._handler())
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another with --metrics-port"
            ) from error
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="penstock-monitor", daemon=True).start()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        shards = self._status()
        match path.partition("?")[0]:
            case "/health":
                return 200, "application/json", msgspec.json.encode({"status": "ok", "shards": shards})
            case "/ready":
                troubles = [f"shard {shard['shard']}: {shard['trouble']}" for shard in shards if shard["trouble"]]
                said = {"status": "not ready", "detail": "; ".join(troubles)} if troubles else {"status": "ready"}
                return (503 if troubles else 200), "application/json", msgspec.json.encode(said | {"shards": shards})
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        return 404, "application/json", b'{"detail":"/health, /ready and /metrics are here"}'

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = monitor.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: health checks are many."""

        return Handler

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class ShardCollector(Collector):
    """What Prometheus sees of each shard."""

    def __init__(self, status: Callable[[], Status], detector: str) -> None:
        self._status, self._detector = status, detector

    def collect(self) -> Iterator[Metric]:
        """Every metric of the worker."""
        shards = self._status()
        for key, (name, text) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["detector", "shard"])
            for shard in shards:
                if key in shard:
                    gauge.add_metric(self._labels(shard), float(shard[key]))
            yield gauge
        events = CounterMetricFamily("penstock_worker_messages", "Messages taken in for good.", labels=["detector", "shard"])
        behind = GaugeMetricFamily(
            "penstock_sink_behind_records", "Records that a store does not have yet.", labels=["detector", "shard", "sink"]
        )
        up = GaugeMetricFamily("penstock_sink_up", "1 where a store takes records.", labels=["detector", "shard", "sink"])
        for shard in shards:
            events.add_metric(self._labels(shard), shard.get("events", 0))
            for name, sink in shard.get("sinks", {}).items():
                behind.add_metric([*self._labels(shard), name], sink["behind"])
                up.add_metric([*self._labels(shard), name], float(sink["trouble"] is None))
        yield from (events, behind, up)

    def _labels(self, shard: dict[str, Any]) -> list[str]:
        return [self._detector, str(shard["shard"])]
