"""One trace from whoever asks, through a service and a broker, to the worker that decides."""

import pytest

from tests.integration.behind import ApiProcess, WorkerProcess
from tests.integration.otlp import receiving
from tests.service import mine
from tests.waiting import wait_until


@pytest.mark.slow
def test_a_trace_goes_through_the_service_and_the_broker_to_the_worker(redis_url, tmp_path, monkeypatch):
    with receiving() as (address, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        patient = {"PENSTOCK_PREDICT_BUDGET_MS": "60000", "PENSTOCK_TRACE_SHARE": "1", "OTEL_SERVICE_NAME": "api"}
        api = ApiProcess(mine.__file__, redis_url, tmp_path / "data", log=tmp_path / "api.log", **patient)
        monkeypatch.setenv("PENSTOCK_TRACE_SHARE", "0")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "worker")
        worker = WorkerProcess(mine.__file__, redis_url, tmp_path / "data")
        try:
            wait_until(lambda: api.ready and worker.owns, 240)
            asked = {"transaction_id": "t1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c1", "amount": 5.0}
            status, decision = api.ask("POST", "/predict", asked)
            assert (status, decision["degraded"]) == (200, None)
            worker.stop()
        finally:
            api.end()
            worker.end()
        [request] = [span for name, span in spans if (name, span.name) == ("api", "POST /predict")]
        [decided] = [span for name, span in spans if (name, span.name) == ("worker", "decide")]
        assert (decided.trace_id, decided.parent_span_id) == (request.trace_id, request.span_id)
        [waited] = [span for name, span in spans if (name, span.name) == ("api", "worker")]
        assert waited.parent_span_id == request.span_id
