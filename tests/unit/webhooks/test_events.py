"""What webhooks say: the type and data of each change in the audit log, and nothing that people write."""

import json

import pytest

from penstock.audit import ChainEntry
from penstock.webhooks.events import TYPES, of_audit


def announced(action, subject, details, case=None):
    found = of_audit(ChainEntry(7, 1_767_225_600_000_000, "ana", action, subject, details, ""), case)
    return None if found is None else (found.type, found.detector, found.subject, json.loads(found.body))


@pytest.mark.parametrize(
    ("action", "subject", "type_", "detector"),
    [
        ("rule.add", "shop/large/1", "penstock.rule.changed", "shop"),
        ("rule.promote", "shop/large/2", "penstock.rule.changed", "shop"),
        ("list.add", "shop/lists/stolen", "penstock.list.changed", "shop"),
        ("feature.activate", "shop/spent/1", "penstock.feature.changed", "shop"),
        ("model.champion", "shop/models/v2", "penstock.model.changed", "shop"),
        ("model.challenge", "models/shop/v3", "penstock.model.changed", "shop"),
    ],
)
def test_changes_of_what_decides_are_announced_under_their_detector(action, subject, type_, detector):
    details = {"from": "draft", "to": "active", "why": "she said so", "note": "private", "added": ["4111111111111111"]}
    kind, whose, about, body = announced(action, subject, details)
    assert (kind, whose, about) == (type_, detector, subject)
    assert kind in TYPES
    assert body["source"] == "/detectors/shop"
    assert body["data"] == {
        "action": action.partition(".")[2],
        "actor": "ana",
        "audit_seq": 7,
        "detector": "shop",
        "subject": subject,
        "from": "draft",
        "to": "active",
    }


def test_a_verdict_names_the_transaction_and_leaves_the_note_out():
    details = {"verdict": "good", "reason": "customer_confirmed", "note": "she called", "before": "fraud"}
    kind, detector, subject, body = announced("cases.verdict", "cases/c1", details, ("shop", "t1"))
    assert (kind, detector, subject) == ("penstock.case.decided", "shop", "c1")
    assert body["data"].items() >= {"transaction_id": "t1", "verdict": "good", "before": "fraud", "case_id": "c1"}.items()
    assert "called" not in str(body)
    assert body["time"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "action", ["keys.add", "users.password", "cases.note", "approval.request", "webhooks.add", "audit.erase"]
)
def test_other_entries_are_not_announced(action):
    assert announced(action, "x/1", {}) is None


def test_an_entry_whose_details_were_erased_is_announced_without_them():
    assert announced("cases.escalate", "cases/c1", None, ("shop", "t1"))[3]["data"]["transaction_id"] == "t1"
