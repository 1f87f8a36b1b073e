"""Guards at work under load: what breaks things is rolled back on its own, and an attack removes nothing."""

import itertools
import json
import threading
import time
from datetime import UTC, datetime

import httpx
import msgspec
import numpy as np
import pytest
from tests.waiting import wait_until

from penstock import Detector, Engine, Entity, LogisticRegression, Policy, Rule
from penstock.alerts import alert_of
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.decision import Guard
from penstock.engine.following import RULES_EVERY_S, RulesFollower
from penstock.engine.trials.challenger import model_trial
from penstock.governance.administration import RuleAdministration, newer_rules
from penstock.governance.challengers import Challengers
from penstock.governance.guards import GuardMonitor
from penstock.governance.rules import RuleBody
from penstock.governance.stored_detector import rule_store
from penstock.models import About, fit_ensemble, promote, save
from penstock.offline.registry import FolderRegistry
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.service.changes.followers import FollowerTask
from penstock.wiring.governance import trial_work
from penstock.wiring.registries import champions

WINDOW_S = 30.0
"""Wide enough for a slow machine to see 200 events in it; how soon a guard acts is measured by benchmarks/change.py."""

POLICY = Policy(
    review_at=0.5,
    block_at=0.9,
    guards=[Guard("block_rate", more=0.05, window="30s", least=200), Guard("error_rate", more=0.01)],
)


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


customer = Entity("customer_id")
detector = Detector(
    "guarded",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[customer.count("1h"), customer.sum("amount", "24h")],
    models=[LogisticRegression()],
    rules=[Rule("large", "amount > 1000", then="block")],
    policy=POLICY,
)


def trained(folder, seed, shift):
    """A model that says fraud above an amount that many, or hardly any, payments reach."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(50, size=(600, len(detector.plan.inputs)))
    y = (x[:, 0] > shift).astype(float)
    ensemble = fit_ensemble(detector.models, x[:400], y[:400], x[400:], y[400:], detector.plan.inputs, seed=seed)
    about = About(detector.name, detector.version, detector.fingerprint(detector.plan.inputs), {}, {}, {})
    return str(save(ensemble.with_thresholds({"review_at": 0.5, "block_at": 0.9}), folder, about).version)


class Load:
    """Payments from several customers at once, until left; every answer must be a decision.

    seen: every decision, with the time at which it was asked for.
    """

    def __init__(self, url, amount=20.0, threads=2):
        self.url, self.amount = url, amount
        self.seen, self._numbers, self._ending = [], itertools.count(), threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def _send(self):
        with httpx.Client(timeout=60) as client:
            while not self._ending.is_set():
                events = [self._event(next(self._numbers)) for _ in range(20)]
                asked = time.monotonic()
                answer = client.post(f"{self.url}/predict", json=events)
                assert answer.status_code == 200, answer.text
                self.seen += [(asked, decision) for decision in answer.json()]

    def _event(self, number):
        return {
            "transaction_id": f"{id(self)}-{number}",
            "timestamp": datetime.now(UTC).isoformat(),
            "customer_id": f"c{number % 500}-{number // 500}",
            "amount": self.amount,
        }

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def since(self, moment):
        return [decision for at, decision in self.seen if at > moment]


@pytest.fixture
def served(tmp_path, serve_in_thread):
    """Address, office, challengers and batcher of a service with a champion and two versions beside it."""
    models = tmp_path / "models"
    versions = [trained(models, 0, 150.0), trained(models, 1, 120.0), trained(models, 2, 1.0)]
    promote(models, detector.name, versions[0])
    settings = Settings(data=tmp_path, models=models, follow_every_s=3600)  # what is promoted does not wait for that
    with open_office(tmp_path) as office:
        batcher = MicroBatcher.of(Engine(detector, models=models, data=tmp_path), settings)
        work = trial_work(office, [detector], settings)
        work.listen(lambda _detector, body: batcher.feed.alert(body))
        app = create_app(
            {"guarded": batcher},
            settings,
            ServiceParts(champions=champions([detector], settings), rules=newer_rules(office, [detector]), trials=work),
        )
        with serve_in_thread(app) as address:
            yield address, office, Challengers(office, detector, FolderRegistry(models)), batcher, versions


def looks_for_rules(monkeypatch, batcher):
    """When each look for newer rules began, and which rules decided after it; a slow machine does not stretch these."""
    looks, look = [], FollowerTask.look

    async def looked(self):
        asked = time.monotonic()
        done = await look(self)
        if isinstance(self.follower, RulesFollower):
            looks.append((asked, {rule.name for rule in batcher.engine.detector.plan.rules}))
        return done

    monkeypatch.setattr(FollowerTask, "look", looked)
    return looks


@pytest.fixture
def guards_look(monkeypatch):
    """Waits until guards have looked so often, from their beginning to their end."""
    looks, look = [], GuardMonitor.look

    def looked(self, engine):
        looks.append("begun")
        look(self, engine)
        looks.append("ended")

    def wait(times):
        before = len(looks)
        wait_until(lambda: looks[before:].count("begun") > times and looks[-1] == "ended")

    monkeypatch.setattr(GuardMonitor, "look", looked)
    return wait


def told(office):
    return [entry for entry in AuditLog(office).entries() if entry.who == "guard"]


def test_a_rule_that_blocks_everything_is_back_within_the_window_on_its_own(served, monkeypatch):
    url, office, _, batcher, _ = served
    book = rule_store(office, detector)
    book.add("everything", RuleBody(when="amount > 0", then="block"), who="ann")
    looks = looks_for_rules(monkeypatch, batcher)
    with Load(url) as load:
        wait_until(lambda: len(load.seen) > 100)
        book.rollout("everything", 1, percent=10, share_of="customer_id", who="ann")
        begun = time.monotonic()
        wait_until(lambda: told(office))
        ended = time.monotonic()
        wait_until(lambda: len([1 for asked, _ in looks if asked > ended]) > 1)
        gone = time.monotonic()
        wait_until(lambda: len(load.since(gone)) > 100)
        over = load.since(gone)
    assert all("everything_v1" not in rules for asked, rules in looks if asked > ended), "one look is enough"
    assert RULES_EVERY_S < 0.5, "so it is over within a second"
    assert ended - begun < WINDOW_S
    blocked = [decision for decision in load.since(begun) if decision["decision"] == "BLOCK"]
    assert 0 < len(blocked) < 0.2 * len(load.since(begun))
    assert not any(decision["decision"] == "BLOCK" for decision in over)
    [entry] = told(office)
    assert (entry.action, entry.subject) == ("rule.rollback", "guarded/everything/1")
    assert "block_rate is 100.0 %, the champion has 0.0 % on the same" in entry.details["why"]
    assert book.versions("everything")[0].state == "paused"
    [(_, body)] = batcher.feed.alerts_since(0)
    alert = alert_of(body)
    assert (alert.rule, alert.severity) == ("guard", "critical")
    assert alert.text.startswith("rule everything_v1 was rolled back: block_rate is 100.0 %")


def test_an_attack_that_both_would_block_removes_nothing(served, guards_look):
    url, office, *_ = served
    book = rule_store(office, detector)
    book.add("large", RuleBody(when="amount > 900", then="block"), who="ann")
    book.rollout("large", 2, percent=50, share_of="customer_id", who="ann")
    with Load(url, amount=5000.0) as load:
        wait_until(lambda: len(load.seen) > 300)
        begun = time.monotonic()
        wait_until(lambda: len(load.since(begun)) > 500)
        guards_look(4)
    assert all(decision["decision"] == "BLOCK" for _, decision in load.seen)
    assert told(office) == []
    assert [version.state for version in book.versions("large")] == ["active", "rollout"]


def test_a_model_that_blocks_too_much_is_rolled_back_and_a_good_one_is_promoted_within_a_second(served):
    url, office, challengers, batcher, (champion, good, bad) = served
    with Load(url, amount=60.0) as load, httpx.Client(timeout=60) as client:
        wait_until(lambda: len(load.seen) > 100)
        begun = time.monotonic()
        answer = client.post(
            f"{url}/detectors/guarded/models/{bad}/rollout", json={"percent": 20, "of": "customer_id", "note": "try"}
        )
        assert answer.status_code == 200, answer.text
        wait_until(lambda: told(office))
        ended = time.monotonic()
        assert ended - begun < WINDOW_S + 2  # a model has to be loaded first
        assert challengers.trials.all()[0].state == "rolled_back"
        assert {decision["model_version"] for decision in load.since(begun)} == {champion, bad}
        wait_until(lambda: not batcher.engine.pipeline.challengers)
        listed = client.get(f"{url}/detectors/guarded/models").json()
        assert (listed["champion"], listed["running"], listed["trials"][0]["ended_by"]) == (champion, [], "guard")
        assert client.post(f"{url}/detectors/guarded/models/{good}/shadow").status_code == 200
        wait_until(lambda: bool(batcher.engine.pipeline.challengers))
        wait_until(lambda: batcher.engine.trials.figures(model_trial(good), 10**9).events > 300)
        [live] = client.get(f"{url}/detectors/guarded/trials").json()["trials"]
        assert (live["trial"], live["version"], live["errors"]) == ("model", good, 0)
        found = client.get(f"{url}/detectors/guarded/trials/model").json()
        assert (found["candidate"], found["total"]["errors"]) == (good, 0)
        assert found["total"]["events"] > 300
        assert client.post(f"{url}/detectors/guarded/models/{good}/promote").json()["champion"] == good
        assert RULES_EVERY_S < 0.5  # between two looks for what has ended; that alone makes it decide, and nothing rarer
        wait_until(lambda: batcher.engine.model_version == good)
        assert client.post(f"{url}/detectors/guarded/models/rollback", json={"note": "no"}).json()["champion"] == champion
        wait_until(lambda: batcher.engine.model_version == champion)


def test_two_versions_are_tried_at_once_listed_compared_and_ended_one_by_one(served):
    url, _, _, batcher, (champion, good, bad) = served
    models = f"{url}/detectors/guarded/models"
    with Load(url, amount=60.0) as load, httpx.Client(timeout=60) as client:
        for version in (good, bad):
            assert client.post(f"{models}/{version}/shadow").status_code == 200
        wait_until(lambda: len(batcher.engine.pipeline.challengers) == 2)
        wait_until(lambda: batcher.engine.trials.figures(model_trial(bad), 10**9).events > 300)
        live = client.get(f"{url}/detectors/guarded/trials").json()["trials"]
        assert [(each["trial"], each["version"]) for each in live] == [("model", good), ("model", bad)]
        blocks = {}
        for version in (good, bad):
            found = client.get(f"{url}/detectors/guarded/trials/model", params={"version": version}).json()
            assert (found["candidate"], found["total"]["errors"], found["total"]["events"] > 300) == (version, 0, True)
            blocks[version] = found["total"]["candidate"]["block_rate"]["value"]
        assert blocks[good] < 0.1 < 0.9 < blocks[bad]
        refused = client.post(f"{models}/rollback", json={"version": champion})
        assert (refused.status_code, "is not tried" in refused.json()["detail"]) == (409, True)
        assert client.post(f"{models}/rollback", json={"version": good}).json()["version"] == good
        wait_until(lambda: [each.version for each in batcher.engine.pipeline.challengers] == [bad])
        assert [each["version"] for each in client.get(models).json()["running"]] == [bad]
    assert {decision["model_version"] for _, decision in load.seen} == {champion}


def test_a_challenger_that_fails_is_rolled_back_even_from_shadow(served, monkeypatch):
    url, office, challengers, batcher, (champion, good, _) = served
    challengers.shadow(good, who="ann")
    wait_until(lambda: bool(batcher.engine.pipeline.challengers))
    monkeypatch.setattr(batcher.engine.pipeline.trying.contenders[0].ensemble, "fill", _fails, raising=False)
    with Load(url) as load:
        wait_until(lambda: told(office))
    assert "error_rate is 100.0 %" in told(office)[0].details["why"]
    assert {decision["model_version"] for _, decision in load.seen} == {champion}
    assert all(decision["degraded"] is None for _, decision in load.seen)


def _fails(*_):
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("models/nothing/shadow", {}, 404),
        ("models/{good}/rollout", {"percent": 0, "of": "customer_id"}, 422),
        ("models/{good}/rollout", {"percent": 5, "of": "amount"}, 422),
        ("models/{good}/rollout", {"percent": 5, "of": "customer_id", "guards": [{"figure": "block_rat"}]}, 422),
        ("models/{champion}/shadow", {}, 409),
        ("models/{good}/shadow", {"nots": "x"}, 422),
        ("models/rollback", {}, 409),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_reason(served, path, body, status):
    url, *_, (champion, good, _) = served
    answer = httpx.post(f"{url}/detectors/guarded/{path.format(champion=champion, good=good)}", json=body, timeout=60)
    assert answer.status_code == status, answer.text
    assert json.loads(answer.content)["detail"]


def test_a_trial_that_nobody_recorded_is_not_found(served):
    url, *_ = served
    assert httpx.get(f"{url}/detectors/guarded/trials/large_v9", timeout=60).status_code == 404
    assert httpx.get(f"{url}/detectors/other/trials", timeout=60).status_code == 404


def test_guards_given_with_a_rollout_count_in_place_of_those_of_the_policy(served, guards_look):
    url, office, *_ = served
    book = rule_store(office, detector)
    book.add("everything", RuleBody(when="amount > 0", then="review"), who="ann")
    work = RuleAdministration(office, detector)
    work.rules.rollout(
        "everything", 1, percent=10, share_of="customer_id", who="ann", guards=[Guard("review_rate", more=0.5, least=100)]
    )
    with Load(url):
        wait_until(lambda: told(office))
    assert "review_rate is 100.0 %" in told(office)[0].details["why"]
    book.add("everything", RuleBody(when="amount > 1", then="block"), who="ann")
    work.rules.rollout("everything", 2, percent=10, share_of="customer_id", who="ann", guards=[])
    with Load(url) as load:
        wait_until(lambda: len([1 for _, decision in load.seen if decision["decision"] == "BLOCK"]) > 50)
        guards_look(3)
    assert book.versions("everything")[1].state == "rollout"


def test_the_document_describes_every_route_and_all_that_they_answer(served):
    url, *_ = served
    text = httpx.get(f"{url}/openapi.json", timeout=60).text
    found = json.loads(text)
    assert "/detectors/{name}/models/{version}/rollout" in found["paths"]
    wanted = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert wanted <= set(found["components"]["schemas"])
