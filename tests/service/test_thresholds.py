"""Thresholds that are applied over HTTP: a version of their own that decides, with four eyes, on the record, and undone."""

import contextlib
from datetime import UTC, datetime

import httpx
import pytest
from tests.service.test_four_eyes import done
from tests.service.test_guards import Payment, customer, detector, trained
from tests.waiting import wait_until

from penstock import Detector, Engine, LogisticRegression, Policy
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.governance.administration import newer_rules
from penstock.identity.keys import Keys
from penstock.models import promote
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.governance import rule_administration, trial_work
from penstock.wiring.registries import champions

MODELS = "/detectors/guarded/models"
ROLES = {"bob": ["approver", "decider"], "cleo": ["approver"], "ann": ["rule_author"]}
LOW = {"review_at": 1e-9, "block_at": 1e-8, "note": "more reviews"}


def declared(policy):
    return Detector(
        "guarded",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h"), customer.sum("amount", "24h")],
        models=[LogisticRegression()],
        policy=policy,
    )


@pytest.fixture
def serve(tmp_path, serve_in_thread):
    """Starts a service: `clients, champion, office = serve(policy, four_eyes)`."""

    def start(policy, *, four_eyes):
        models, one = tmp_path / "models", declared(policy)
        version = trained(models, 0, 150.0)
        promote(models, detector.name, version)
        settings = Settings(data=tmp_path, models=models, four_eyes=four_eyes, follow_every_s=0.2)
        office = opened.enter_context(open_office(tmp_path))
        secrets = {name: Keys(office).add(name, roles, who="local")[0] for name, roles in ROLES.items()}
        parts = ServiceParts(
            champions=champions([one], settings),
            rules=newer_rules(office, [one]),
            administrations={"guarded": rule_administration(office, one, settings)},
            trials=trial_work(office, [one], settings),
            access=Access(office, settings, exposed=False),
        )
        batcher = MicroBatcher.of(Engine(one, models=models, data=tmp_path), settings)
        url = opened.enter_context(serve_in_thread(create_app({"guarded": batcher}, settings, parts)))
        clients = {name: httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60) for name, key in secrets.items()}
        return {name: opened.enter_context(client) for name, client in clients.items()}, version, office

    with contextlib.ExitStack() as opened:
        yield start


def decided(client, number):
    payment = {"transaction_id": f"t{number}", "timestamp": datetime.now(UTC).isoformat(), "customer_id": "c", "amount": 5.0}
    return done(client.post("/predict", json=payment))


def test_applied_thresholds_decide_as_a_version_of_their_own_and_are_undone_by_one_step(serve):
    clients, before, office = serve(Policy(), four_eyes=False)
    bob = clients["bob"]
    first = decided(bob, 1)
    assert (first["decision"], first["model_version"]) == ("APPROVE", before)
    moved = done(bob.post(f"{MODELS}/{before}/thresholds", json=LOW))
    after = moved["version"]
    assert (moved["champion"], after != before) == (after, True)
    numbers = iter(range(2, 10_000))
    wait_until(lambda: decided(bob, next(numbers))["model_version"] == after)
    last = decided(bob, next(numbers))
    assert last["decision"] == "BLOCK"
    for one in (first, last):
        verified = done(bob.post(f"/verify/{one['transaction_id']}"))
        assert verified["identical"] is True, verified
    newest = AuditLog(office).entries(1)[0]
    assert (newest.who, newest.action) == ("key:bob", "model.promote")
    assert "review from 1e-09, block from 1e-08. more reviews" in str(newest.details)
    assert done(bob.post(f"{MODELS}/rollback", json={"note": "too many"}))["champion"] == before
    wait_until(lambda: decided(bob, next(numbers))["model_version"] == before)


def test_with_four_eyes_thresholds_wait_for_another_person(serve):
    clients, before, _ = serve(Policy(), four_eyes=True)
    bob, cleo = clients["bob"], clients["cleo"]
    request = done(bob.post(f"{MODELS}/{before}/thresholds", json=LOW), 202)
    assert done(bob.get(MODELS))["champion"] == before
    assert bob.post(f"/detectors/guarded/approvals/{request['id']}/approve").status_code == 409
    done(cleo.post(f"/detectors/guarded/approvals/{request['id']}/approve"))
    assert done(bob.get(MODELS))["champion"] == request["name"] != before


def test_thresholds_that_would_not_be_in_force_are_refused(serve):
    clients, before, _ = serve(Policy(review_at=0.5), four_eyes=False)
    bob = clients["bob"]

    def refused(body, version=before):
        answer = bob.post(f"{MODELS}/{version}/thresholds", json=body)
        return answer.status_code, answer.json()["detail"]

    status, detail = refused(LOW)
    assert (status, "declares thresholds that win over these: review from 0.5" in detail) == (409, True)
    assert refused({"review_at": 0.5, "block_at": 0.4})[0] in (409, 422)
    assert refused({"review_at": 0.5, "block_at": 0.9})[0] == 409
    assert refused({"review_at": 0.5, "block_at": 1.5})[0] == 422
    assert refused(LOW, "none")[0] == 404
    assert clients["ann"].post(f"{MODELS}/{before}/thresholds", json=LOW).status_code == 403
    assert [each["version"] for each in done(bob.get(MODELS))["versions"]] == [before]
