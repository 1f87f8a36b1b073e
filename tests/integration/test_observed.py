"""What a real service and a real worker tell of themselves: every metric as declared, every line of the log an object."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from datetime import datetime
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.infra.server import free_port
from penstock.cli.logs import CONTEXT
from penstock.metrics import METRICS
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess
from tests.integration.otlp import receiving
from tests.waiting import wait_until

DETECTOR = crash_worker.__file__
EVENTS = crash_worker.events(300)
TRACED = "00-000102030405060708090a0b0c0d0e0f-0102030405060708-01"
UNSAMPLED = "00-100102030405060708090a0b0c0d0e0f-1102030405060708-00"
SECRET = "hunter2-never-in-a-log"
LOGGED = {"PENSTOCK_LOG_FORMAT": "json", "PENSTOCK_LOG_LEVEL": "debug", "PENSTOCK_KEY": SECRET}


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def answers(url):
    try:
        return get(url)
    except OSError:
        return None


@pytest.fixture(scope="module")
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def service(tmp_path_factory, receiver):
    """What a service that decided told of itself, and every line of its log."""
    folder = tmp_path_factory.mktemp("service")
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "log"
    command = [sys.executable, "-c", "from penstock.cli import main; main()", "serve", DETECTOR]
    command += ["--data", str(folder / "data"), "--port", str(port)]
    traced = {"PENSTOCK_TRACES": receiver[0], "PENSTOCK_TRACE_SHARE": "0"}
    environment = {**os.environ, **LOGGED, **traced, "PYTHONPATH": os.pathsep.join(sys.path)}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process:
        try:
            wait_until(lambda: answers(f"{url}/ready"), 240)
            body = json.dumps(EVENTS).encode()
            headers = {"content-type": "application/json"}
            for more in ({"traceparent": TRACED}, {"traceparent": UNSAMPLED}, {"traceparent": "nonsense"}, {}):
                asked = urllib.request.Request(f"{url}/predict", body, headers | more)
                urllib.request.urlopen(asked, timeout=60).close()
            metrics = get(f"{url}/metrics")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    return metrics, log.read_text().splitlines()


@pytest.fixture(scope="module")
def worker(tmp_path_factory, redis, receiver):
    """The same of a worker."""
    folder = tmp_path_factory.mktemp("worker")
    behind = Behind(f"{redis.start().url}?prefix=observed.", "crash")
    with pytest.MonkeyPatch.context() as patch:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver[0], "OTEL_SERVICE_NAME": "a-worker", "PENSTOCK_TRACE_SHARE": "1"}
        for name, value in (LOGGED | traced).items():
            patch.setenv(name, value)
        process = WorkerProcess(DETECTOR, behind.url, folder / "w", "--archive", str(folder / "archive"))
    try:
        behind.put("transactions", EVENTS[:1], trace=TRACED.encode())
        behind.put("transactions", EVENTS[1:])
        wait_until(lambda: len(behind.bodies("decisions")) == len(EVENTS), 240)
        metrics = get(f"http://127.0.0.1:{process.port}/metrics")
        process.stop()
    finally:
        process.end()
        behind.close()
    return metrics, process.log.read_text().splitlines()


def families(text):
    """The families of Penstock's own: names as declared, kinds, and samples."""
    found = [each for each in text_string_to_metric_families(text) if each.name.startswith("penstock_")]
    return {each.name + "_total" * (each.type == "counter"): each for each in found}


@pytest.mark.parametrize(("who", "sources", "sharded"), [
    ("service", {"engine", "service", "drift"}, False),
    ("worker", {"engine", "worker"}, True),
])  # fmt: skip
def test_what_a_process_tells_is_what_is_declared(request, who, sources, sharded):
    text, _ = request.getfixturevalue(who)
    declared = {each.name: each for each in METRICS if each.source in sources}
    found = families(text)
    assert found.keys() == declared.keys()
    for name, family in found.items():
        assert (family.type, family.documentation) == (declared[name].kind, declared[name].text)
        labels = set(declared[name].labels_of(sharded=sharded))
        assert all(sample.labels.keys() - {"le"} == labels for sample in family.samples), name


@pytest.mark.parametrize("who", ["service", "worker"])
def test_every_decision_is_counted_and_every_stage_timed(request, who):
    found = families(request.getfixturevalue(who)[0])
    times = 4 if who == "service" else 1  # a service counts answers: what comes again is answered again
    assert sum(sample.value for sample in found["penstock_decisions_total"].samples) == times * len(EVENTS)
    timed = {s.labels["stage"] for s in found["penstock_engine_seconds"].samples if s.name.endswith("_count") and s.value}
    assert timed >= {"decode", "features", "rules"}


def test_what_a_worker_feeds_is_told_by_sink(worker):
    assert [sample.labels["sink"] for sample in families(worker[0])["penstock_sink_up"].samples] == ["archive"]


@pytest.mark.parametrize("who", ["service", "worker"])
def test_every_line_of_the_log_is_an_object_about_the_detector(request, who):
    lines = [json.loads(line) for line in request.getfixturevalue(who)[1]]
    assert lines
    for line in lines:
        assert line.keys() <= {"time", "level", "logger", "message", "error", *CONTEXT}
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
    assert {line.get("detector") for line in lines if "detector" in line} == {"crash"}


@pytest.mark.parametrize("who", ["service", "worker"])
def test_every_decision_has_a_line_with_its_transaction_and_none_says_what_the_event_said(request, who):
    lines = request.getfixturevalue(who)[1]
    decided = [json.loads(line) for line in lines if '"penstock.decisions"' in line]
    assert {line["transaction_id"] for line in decided} == {event["transaction_id"] for event in EVENTS}
    ids = {event["transaction_id"] for event in EVENTS}
    told = {str(value) for event in EVENTS for value in event.values() if isinstance(value, str)} - ids
    assert [line for line in lines if SECRET in line] == []
    assert [line for line in lines if any(f'"{value}"' in line for value in told)] == []


def test_every_request_has_a_line(service):
    lines = [json.loads(line) for line in service[1] if '"penstock.requests"' in line]
    assert ("POST", "/predict", 200) in {(line["method"], line["route"], line["status"]) for line in lines}


def test_what_ends_a_command_is_a_line_as_well(tmp_path):
    run = partial(subprocess.run, capture_output=True, text=True, timeout=120)
    command = [sys.executable, "-c", "from penstock.cli import main; main()", "serve", "no_such_detector", "--port", "0"]
    done = run(command, env={**os.environ, **LOGGED, "PYTHONPATH": os.pathsep.join(sys.path)}, cwd=tmp_path)
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 2
    assert (line["level"], "no_such_detector" in line["message"]) == ("critical", True)


def test_a_request_of_a_traced_caller_is_a_span_with_its_stages_and_others_are_none(service, receiver):
    spans = [span for name, span in receiver[1] if name == "penstock"]
    assert {span.trace_id.hex() for span in spans} == {TRACED[3:35]}
    by_name = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    [request] = by_name["POST /predict"]
    assert request.parent_span_id.hex() == TRACED[36:52]
    attributes = {each.key: each.value.string_value or each.value.int_value for each in request.attributes}
    assert (attributes["http.route"], attributes["http.response.status_code"]) == ("/predict", 200)
    assert attributes["penstock.detector"] == "crash"
    assert {event["transaction_id"] for event in EVENTS} >= {attributes["penstock.transaction_id"]}
    for name in ("queue", "decide", "durable"):
        assert {span.parent_span_id for span in by_name[name]} == {request.span_id}
        assert all(
            request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in by_name[name]
        )
    decided = {span.span_id for span in by_name["decide"]}
    for name in ("decode", "features", "rules"):
        assert {span.parent_span_id for span in by_name[name]} <= decided


def test_every_batch_of_a_worker_is_a_span_with_its_stages(worker, receiver):
    spans = [span for name, span in receiver[1] if name == "a-worker"]
    batches = [span for span in spans if span.name == "decide"]
    attributes = [{each.key: each.value.int_value for each in span.attributes} for span in batches]
    assert sum(found["penstock.events"] for found in attributes) >= len(EVENTS)
    stages = {span.name for span in spans if span.parent_span_id == batches[0].span_id}
    assert stages >= {"decode", "features", "models", "rules", "explain"}
    for span in spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano


def test_a_batch_with_an_event_that_is_traced_already_is_a_part_of_that_trace(worker, receiver):
    continued = [span for name, span in receiver[1] if name == "a-worker" and span.trace_id.hex() == TRACED[3:35]]
    [batch] = [span for span in continued if span.name == "decide"]
    assert batch.parent_span_id.hex() == TRACED[36:52]
    assert {span.parent_span_id for span in continued} == {batch.parent_span_id, batch.span_id}


def test_without_traces_nothing_of_opentelemetry_is_imported():
    program = "import sys, penstock.service, penstock.worker, penstock.wiring.traces as t\n"
    program += "from penstock.config import Settings\nassert t.spans_of(Settings()) is None\n"
    program += "assert not [name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))]"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=environment)
