"""Following the champion: the first one is waited for, another takes over between two batches, and nobody is turned away."""

import asyncio
import itertools
import json
import shutil
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.integration.paid import detector, trained
from tests.waiting import wait_until

from penstock import Engine, LogisticRegression
from penstock.config import Settings
from penstock.engine import verify
from penstock.engine.following import ModelFollower
from penstock.errors import RegistryError
from penstock.ledger import FileLedger
from penstock.models import load_bundle
from penstock.offline.registry import FolderRegistry, promote_to, register, roll_back
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.service.changes.followers import FollowerTask
from penstock.wiring.registries import champions

QUICKLY_S = 0.05


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """A folder with two versions."""
    registry = FolderRegistry(tmp_path_factory.mktemp("made"))
    for each in (trained(), trained(detector(models=[LogisticRegression()]))):
        register(registry, detector(), each)
    return registry


@pytest.fixture
def registry(tmp_path):
    """An empty folder."""
    return FolderRegistry(tmp_path / "models")


def bring(versions, registry, at, *, promote=True):
    """Put a version into the folder, as a training in another process would; its name."""
    entry = versions.entries("paid")[at]
    shutil.copytree(versions.fetch("paid", entry.version), registry.folder / "paid" / entry.version)
    if promote:
        promote_to(registry, detector(), entry.version)
    return entry.version


@pytest.fixture
def url(registry, tmp_path, serve_in_thread):
    """A service over that folder, which has no models yet."""
    settings = Settings(models=registry.folder, data=tmp_path / "data", follow_every_s=QUICKLY_S)
    engine = Engine(detector(), models=registry.folder, data=settings.data, wait_for_models=True)
    app = create_app(
        {"paid": MicroBatcher.of(engine, settings)}, settings, ServiceParts(champions=champions([detector()], settings))
    )
    with serve_in_thread(app) as address:
        yield address


def payment(number):
    time = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=number)
    return {"transaction_id": f"p{number}", "timestamp": time.isoformat(), "customer_id": "c1", "amount": 20.0}


def get(url):
    return httpx.get(url, timeout=60)


def post(url, **body):
    return httpx.post(url, timeout=60, **body)


def decides(url):
    return get(f"{url}/health").json()["detectors"]["paid"]["model_version"]


def test_a_service_waits_for_its_first_champion_says_so_and_takes_it_up(url, versions, registry):
    waiting = get(f"{url}/ready")
    assert waiting.status_code == 503
    assert "no model has been trained yet: penstock train paid" in waiting.json()["detail"]
    assert post(f"{url}/predict", json=payment(1)).status_code == 503
    first = bring(versions, registry, 0)
    wait_until(lambda: get(f"{url}/ready").status_code == 200)
    assert post(f"{url}/predict", json=payment(1)).json()["versions"]["model"] == first == decides(url)


def test_an_alias_that_moves_under_load_drops_no_request_and_mixes_no_versions(url, versions, registry):
    """Four clients send without pause while the champion moves there and back."""
    first, second = bring(versions, registry, 0), bring(versions, registry, 1, promote=False)
    wait_until(lambda: decides(url) == first)
    members = {first: {"logistic_regression", "xgboost"}, second: {"logistic_regression"}}
    numbers, stop, answers = itertools.count(), threading.Event(), []

    def send():
        with httpx.Client(base_url=url, timeout=60) as client:
            while not stop.is_set():
                batch = [payment(number) for number in itertools.islice(numbers, 5)]
                answers.append(client.post("/predict", json=batch))

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()

    def answered(version):
        return any(answer.json()[0]["versions"]["model"] == version for answer in answers[-8:])

    try:
        wait_until(lambda: answered(first))
        for move in (lambda: promote_to(registry, detector(), second), lambda: roll_back(registry, detector())):
            move()
            wanted = registry.alias("paid", "champion")
            wait_until(lambda wanted=wanted: decides(url) == wanted)
            wait_until(lambda wanted=wanted: answered(wanted))
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    assert {answer.status_code for answer in answers} == {200}
    decisions = [decision for answer in answers for decision in answer.json()]
    assert {decision["versions"]["model"] for decision in decisions} == {first, second}
    assert all(set(decision["scores"]) == members[decision["versions"]["model"]] for decision in decisions)
    assert all(len({decision["versions"]["model"] for decision in answer.json()}) == 1 for answer in answers)


def test_what_was_decided_by_an_earlier_version_is_shown_as_it_was(url, versions, registry):
    bring(versions, registry, 0)
    wait_until(lambda: get(f"{url}/ready").status_code == 200)
    before = post(f"{url}/predict", json=payment(1)).json()
    second = bring(versions, registry, 1)
    wait_until(lambda: decides(url) == second)
    after = post(f"{url}/predict", json=payment(2)).json()
    assert after["versions"]["model"] == second != before["versions"]["model"]
    shown = get(f"{url}/transactions/p1").json()
    assert (shown["scores"], shown["versions"]) == (before["scores"], before["versions"])
    assert post(f"{url}/predict", json=payment(1)).json()["scores"] == before["scores"]


def test_a_champion_that_cannot_be_used_changes_nothing(url, versions, registry, monkeypatch):
    looks, look = [], FollowerTask.look

    async def looked(self):
        looks.append(await look(self))
        return looks[-1]

    monkeypatch.setattr(FollowerTask, "look", looked)
    first = bring(versions, registry, 0)
    wait_until(lambda: decides(url) == first)
    second = bring(versions, registry, 1, promote=False)
    manifest = registry.folder / "paid" / second / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"rows"', '"lines"', 1))
    (registry.folder / "paid" / "champion").write_text(second + "\n")
    wait_until(lambda: looks.count(False) >= 4)
    assert decides(url) == first
    assert post(f"{url}/predict", json=payment(1)).json()["versions"]["model"] == first


def test_a_log_with_decisions_of_two_versions_is_recovered_and_shown(versions, tmp_path):
    first, second = (versions.fetch("paid", entry.version) for entry in versions.entries("paid"))
    shown = {}
    with Engine(detector(), models=load_bundle(first), data=tmp_path) as engine:
        engine.decide(payment(1))
        engine.use(load_bundle(second))
        engine.decide(payment(2))
        shown = {name: json.loads(engine.queries.transaction(name)) for name in ("p1", "p2")}
    assert [shown[name]["versions"]["model"] for name in ("p1", "p2")] == [first.name, second.name]
    with Engine(detector(), models=load_bundle(first), data=tmp_path) as engine:
        assert {name: json.loads(engine.queries.transaction(name)) for name in shown} == shown
    with FileLedger(tmp_path / "ledger", read_only=True) as ledger:
        assert all(verify(ledger, detector(), name, versions.folder).identical for name in shown)


# ---------------------------------------------------------------- the follower alone


def following(batcher, newer):
    return FollowerTask(batcher, ModelFollower(batcher.name, newer, 1.0))


def test_a_registry_that_does_not_answer_is_said_once_and_asked_again(engine, run, caplog):
    """Twice no answer, then one."""
    answers = iter([RegistryError("down"), RegistryError("down"), None])

    def newer(_version):
        answer = next(answers)
        if answer is not None:
            raise answer

    batcher = MicroBatcher.of(engine, Settings())
    follower = following(batcher, newer)
    assert not run(follower.look())
    assert not run(follower.look())
    assert [record.message for record in caplog.records] == ["fake: m1 goes on deciding: down"]
    assert run(follower.look())
    assert batcher.models_trouble is None


def test_a_detector_without_models_says_why_it_cannot_have_them(make_engine, run):
    def newer(_version):
        raise RegistryError("nobody answers at there")

    batcher = MicroBatcher.of(make_engine(ready="no model has been trained yet"), Settings())
    run(following(batcher, newer).look())
    assert batcher.not_ready == "no model has been trained yet; nobody answers at there"


def test_a_detector_that_opens_without_models_says_so_in_the_log(make_engine, run, caplog):
    run(MicroBatcher("paid", lambda: make_engine(ready="no model has been trained yet"), Settings()).open())
    assert "paid decides nothing: no model has been trained yet" in caplog.text


def test_looking_does_not_keep_decisions_waiting(engine, run, payment_bytes):
    """The registry takes its time; meanwhile a decision is made."""
    asked, answer = threading.Event(), threading.Event()

    def newer(_version):
        asked.set()
        answer.wait(60)

    async def work():
        batcher = MicroBatcher.of(engine, Settings())
        looking = asyncio.create_task(following(batcher, newer).look())
        await asyncio.to_thread(asked.wait, 60)
        [decision] = await batcher.decide([payment_bytes])
        assert not looking.done()
        answer.set()
        assert await looking
        return json.loads(decision)["decision"]

    assert run(work()) == "APPROVE"


@pytest.fixture
def payment_bytes():
    return json.dumps(payment(1)).encode()
