"""Two people let anything decide: models and features wait for the second as rules do, whoever asks with whatever role."""

import httpx
import pytest
from tests.service.test_guards import detector, trained
from tests.waiting import wait_until

from penstock import Engine
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.governance.administration import newer_rules
from penstock.governance.feature_activation import feature_activation
from penstock.identity.keys import Keys
from penstock.models import promote
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.governance import rule_administration, trial_work
from penstock.wiring.registries import champions

ROLES = {"vic": ["viewer"], "ann": ["rule_author"], "bob": ["approver"], "cleo": ["rule_author", "approver"]}
APPROVALS = "/detectors/guarded/approvals"
MODELS = "/detectors/guarded/models"
FEATURES = "/detectors/guarded/features"
NIGHT = {"kind": "count", "entity": "customer", "window": "7d"}


@pytest.fixture
def people(tmp_path, serve_in_thread):
    """Clients of everybody at a service that wants four eyes, two versions of its models, and its office."""
    models = tmp_path / "models"
    versions = [trained(models, 0, 150.0), trained(models, 1, 120.0)]
    promote(models, detector.name, versions[0])
    settings = Settings(data=tmp_path, models=models, four_eyes=True)
    with open_office(tmp_path) as office:
        secrets = {name: Keys(office).add(name, roles, who="local")[0] for name, roles in ROLES.items()}
        app = create_app(
            {"guarded": MicroBatcher.of(Engine(detector, models=models, data=tmp_path), settings)},
            settings,
            ServiceParts(
                champions=champions([detector], settings),
                rules=newer_rules(office, [detector]),
                administrations={"guarded": rule_administration(office, detector, settings)},
                features=feature_activation(office, [detector], settings),
                trials=trial_work(office, [detector], settings),
                access=Access(office, settings, exposed=False),
            ),
        )
        with serve_in_thread(app) as address:
            found = {
                name: httpx.Client(base_url=address, headers={"x-api-key": key}, timeout=60) for name, key in secrets.items()
            }
            yield found, versions, office
            for client in found.values():
                client.close()


def done(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def test_a_version_that_one_approver_rolls_out_and_promotes_waits_for_another(people):
    clients, (champion, other), office = people
    bob, cleo = clients["bob"], clients["cleo"]
    share = {"percent": 10, "of": "customer_id", "guards": [{"figure": "p99_ms", "more": 9}]}
    request = done(bob.post(f"{MODELS}/{other}/rollout", json=share), 202)
    assert (request["kind"], request["name"], request["action"], request["author"]) == ("model", other, "rollout", "key:bob")
    listed = done(bob.get(MODELS))
    assert (listed["four_eyes"], listed["running"], [each["id"] for each in listed["pending"]]) == (True, [], [request["id"]])
    assert bob.post(f"{APPROVALS}/{request['id']}/approve").status_code == 409
    assert done(cleo.post(f"{APPROVALS}/{request['id']}/approve", json={"note": "seen"}))["settled_by"] == "key:cleo"
    [trial] = done(bob.get(MODELS))["running"]
    assert (trial["version"], trial["state"], trial["percent"], trial["guards"][0]["more"]) == (other, "rollout", 10.0, 9.0)
    asked = done(bob.post(f"{MODELS}/{other}/promote"), 202)
    assert done(bob.get(MODELS))["champion"] == champion
    assert cleo.post(f"{APPROVALS}/{request['id']}/approve").status_code == 409
    done(cleo.post(f"{APPROVALS}/{asked['id']}/approve"))
    listed = done(bob.get(MODELS))
    assert (listed["champion"], listed["running"], listed["trials"][0]["state"]) == (other, [], "promoted")
    assert done(bob.post(f"{MODELS}/rollback", json={"note": "alone"}))["champion"] == champion
    told = [entry.action for entry in reversed(AuditLog(office).entries()) if "model" in entry.subject]
    assert told == [
        *("approval.request", "approval.approve", "model.rollout"),
        *("approval.request", "approval.approve", "model.promote", "model.return"),
    ]


def test_another_approver_promotes_what_one_has_tried_at_once(people):
    clients, (_, other), _ = people
    done(clients["bob"].post(f"{MODELS}/{other}/shadow"))
    assert done(clients["cleo"].post(f"{MODELS}/{other}/promote"))["champion"] == other


def test_authors_ask_for_models_and_features_and_approvers_settle_that(people):
    clients, (_, other), _ = people
    ann, bob = clients["ann"], clients["bob"]
    assert ann.post(f"{MODELS}/{other}/rollout", json={"percent": 5, "of": "customer_id"}).status_code == 403
    refused = ann.post(f"{MODELS}/{other}/request", json={"action": "rollout", "percent": 5, "of": "amount"})
    assert (refused.status_code, "cannot be shared out" in refused.json()["detail"]) == (422, True)
    rollout = {"action": "rollout", "percent": 5, "of": "customer_id", "note": "please"}
    request = done(ann.post(f"{MODELS}/{other}/request", json=rollout), 202)
    assert ann.post(f"{APPROVALS}/{request['id']}/approve").status_code == 403
    done(bob.post(f"{APPROVALS}/{request['id']}/reject", json={"note": "not now"}))
    assert done(bob.get(MODELS))["running"] == []
    done(ann.post(FEATURES, json={"name": "week", "body": NIGHT}), 201)
    assert ann.post(f"{FEATURES}/week/activate").status_code == 403
    wanted = done(ann.post(f"{FEATURES}/week/request"), 202)
    assert (wanted["kind"], wanted["action"], wanted["details"]) == ("feature", "activate", {"version": 1})
    done(bob.post(f"{APPROVALS}/{wanted['id']}/approve"))
    _until_active(ann, "week")


def test_a_feature_is_activated_by_another_than_its_author(people):
    clients, _, office = people
    cleo, bob = clients["cleo"], clients["bob"]
    done(cleo.post(FEATURES, json={"name": "week", "body": NIGHT}), 201)
    request = done(cleo.post(f"{FEATURES}/week/activate"), 202)
    found = done(cleo.get(FEATURES))
    assert (found["four_eyes"], found["features"][0]["state"], found["pending"][0]["id"]) == (True, "draft", request["id"])
    assert cleo.post(f"{APPROVALS}/{request['id']}/approve").status_code == 409
    done(bob.post(f"{APPROVALS}/{request['id']}/approve"))
    _until_active(bob, "week")
    assert bob.post(f"{FEATURES}/week/request").status_code == 409
    done(cleo.post(FEATURES, json={"name": "day", "body": NIGHT | {"window": "1d"}}), 201)
    assert done(bob.post(f"{FEATURES}/day/activate"))["state"] == "filling"
    told = [entry.action for entry in AuditLog(office).entries() if "/week/" in entry.subject]
    assert told[::-1] == ["feature.add", "approval.request", "approval.approve", "feature.activate", "feature.filled"]


def test_a_viewer_asks_for_nothing(people):
    clients, (_, other), _ = people
    for path in (f"{MODELS}/{other}/request", f"{MODELS}/{other}/promote", f"{FEATURES}/week/request"):
        assert clients["vic"].post(path).status_code == 403


def _until_active(client, name):
    wait_until(lambda: done(client.get(f"{FEATURES}/{name}"))["state"] == "active")
