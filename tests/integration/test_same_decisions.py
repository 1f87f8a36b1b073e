"""Built-in detectors with their models decide the same behind every broker as in one process, to the last bit."""

import os

import pytest

from penstock.offline.datasets import read
from penstock.offline.simulate import simulate, submitted
from penstock.offline.train import train
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of
from tests.integration.behind import Behind, WorkerProcess, assert_same, embedded
from tests.waiting import wait_until

EVENTS = int(os.environ.get("PENSTOCK_SAME_EVENTS", "100000"))


@pytest.fixture(scope="module", params=["banking", "payments"])
def decided(request, tmp_path_factory):
    """A detector's name, its models, simulated events of which two in a hundred are late, and what one process decides."""
    name = request.param
    models, profile, detector = tmp_path_factory.mktemp(name), profile_of(name), load_detector(name)
    train(detector, read(simulate(profile, events=20_000, seed=1, fraud_rate=0.03), detector), save_to=models)
    events = list(submitted(profile, simulate(profile, events=EVENTS, seed=3, fraud_rate=0.02, late_share=0.02)))
    expected = embedded(detector, events, models=models)
    assert len({decision["decision"] for decision in expected}) > 1
    return name, models, events, expected


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["kafka", "redis"])
def test_a_worker_with_models_decides_as_one_process_does(broker, decided, request, tmp_path):
    name, models, events, expected = decided
    if broker == "kafka":
        url = f"{request.getfixturevalue('kafka').url}/{request.getfixturevalue('topic_prefix').rstrip('.')}"
    else:
        url = request.getfixturevalue("redis_url")
    behind = Behind(url, name)
    worker = WorkerProcess(name, url, tmp_path / "w", "--models", str(models))
    try:
        wait_until(lambda: worker.owns)
        behind.put("transactions", events)
        wait_until(lambda: len(behind.bodies("decisions")) >= len(expected), 1_800)
        assert_same(behind.read("decisions"), expected)
    finally:
        worker.end()
        behind.close()
