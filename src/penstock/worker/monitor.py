"""A worker's health, readiness and metrics over HTTP."""

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from penstock.engine.statistics.totals import Meter, add_metrics
from penstock.errors import ConfigurationError
from penstock.metrics import Families

Status = list[dict[str, Any]]

Meters = Mapping[int, Meter]
"""Measurements of each shard's engine."""

MOST_CONNECTIONS = 64
"""Maximum of connections, each with a thread; further ones are closed unanswered."""

SILENCE_S = 5.0
"""Seconds without data after which a client is disconnected."""

_GAUGES = {
    "owner": "penstock_worker_owner",
    "fence": "penstock_worker_fence",
    "lag": "penstock_worker_lag_messages",
    "position": "penstock_worker_position",
    "events": "penstock_worker_messages_total",
}
_DECISIONS = "decisions_"


class Monitor:
    """Serves `/health`, `/ready` and `/metrics` on a separate port, in threads.

    Args:
        status: the status of each shard: see `ShardRunner.status`.
        detector: the worker's detector.
        meters: measurements of engines: see `Worker.meters`.

    Raises:
        ConfigurationError: the address cannot be bound.
    """

    def __init__(
        self, status: Callable[[], Status], detector: str, host: str, port: int, *, meters: Callable[[], Meters] = dict
    ) -> None:
        self._status = status
        self._registry = CollectorRegistry()
        self._registry.register(ShardCollector(status, detector, meters))
        ProcessCollector(registry=self._registry)
        try:
            self._server = _Server((host, port), self._handler())
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another with --metrics-port"
            ) from error
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
            timeout = SILENCE_S

            def do_GET(self) -> None:
                status, kind, body = monitor.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Disabled: health checks are many."""

        return Handler

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """A server with a thread per connection, and a bound on their number."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()


class ShardCollector(Collector):
    """Prometheus metrics of each shard."""

    def __init__(self, status: Callable[[], Status], detector: str, meters: Callable[[], Meters] = dict) -> None:
        self._status, self._detector, self._meters = status, detector, meters

    def collect(self) -> Iterator[Metric]:
        """Every metric of the worker."""
        families = Families("engine", "worker", sharded=True)
        meters = self._meters()
        for shard in self._status():
            self._add(families, shard, meters.get(shard["shard"]))
        yield from families

    def _add(self, families: Families, shard: dict[str, Any], meter: Meter | None) -> None:
        labels = [self._detector, str(shard["shard"])]
        families.add("penstock_worker_ready", labels, shard["trouble"] is None)
        for key, name in _GAUGES.items():
            if key in shard:
                families.add(name, labels, float(shard[key]))
        counters = shard.get("engine", {})
        for name, count in counters.items() if shard["owner"] else ():
            if name.startswith(_DECISIONS):
                families.add("penstock_decisions_total", [*labels, name.removeprefix(_DECISIONS)], count)
        add_metrics(families, labels, counters, meter)
        for name, sink in shard.get("sinks", {}).items():
            families.add("penstock_sink_behind_records", [*labels, name], sink["behind"])
            families.add("penstock_sink_behind_seconds", [*labels, name], sink["behind_s"])
            families.add("penstock_sink_up", [*labels, name], sink["trouble"] is None)
