"""Trials of models have a life: who began one, what it does, how it ended; and nobody ends one twice."""

import threading

import pytest

from penstock.audit import AuditLog
from penstock.database import SqliteDatabase
from penstock.errors import Conflict, MalformedEvent
from penstock.governance.model_trials import REGISTRY, ModelTrials
from penstock.governance.rules import RuleBody, RuleStore


@pytest.fixture
def database(tmp_path):
    found = SqliteDatabase(tmp_path / "office.sqlite")
    yield found
    found.close()


@pytest.fixture
def trials(database):
    return ModelTrials(database, "d")


def told(database):
    return [(entry.who, entry.action, entry.subject) for entry in reversed(AuditLog(database).entries())]


def test_a_version_goes_from_shadow_to_champion_and_the_audit_log_tells(trials, database):
    revisions = [trials.revision()]
    first = trials.shadow("v2", champion="v1", who="ann", why="newer")
    revisions.append(trials.revision())
    rolled = trials.rollout("v2", champion="v1", percent=10, share_of="customer_id", who="ann")
    revisions.append(trials.revision())
    assert rolled.id == first.id
    promoted = []
    trials.promote("v2", who="bob", then=lambda: promoted.append("v2"))
    revisions.append(trials.revision())
    assert (promoted, trials.running()) == (["v2"], [])
    assert revisions == sorted(set(revisions))
    assert told(database) == [
        ("ann", "model.shadow", "d/models/v2"),
        ("ann", "model.rollout", "d/models/v2"),
        ("bob", "model.promote", "d/models/v2"),
    ]
    [ended] = trials.all()
    assert (ended.state, ended.ended_by, ended.champion) == ("promoted", "bob", "v1")


def test_four_versions_are_tried_side_by_side_and_one_of_them_is_rolled_out(trials):
    for version in ("v2", "v3", "v4"):
        trials.shadow(version, champion="v1", who="ann")
    trials.rollout("v5", champion="v1", percent=5, share_of="customer_id", who="ann")
    states = [(trial.version, trial.state) for trial in trials.running()]
    assert states == [("v2", "shadow"), ("v3", "shadow"), ("v4", "shadow"), ("v5", "rollout")]
    with pytest.raises(Conflict, match="v2, v3, v4, v5"):
        trials.shadow("v6", champion="v1", who="ann")
    with pytest.raises(Conflict, match="v5 is rolled out"):
        trials.rollout("v2", champion="v1", percent=5, share_of="customer_id", who="ann")
    assert not trials.adopt("v6", champion="v1")
    trials.promote("v5", who="ann", then=lambda: None)
    assert [trial.version for trial in trials.running()] == ["v2", "v3", "v4"]
    assert trials.rollout("v2", champion="v5", percent=5, share_of="customer_id", who="ann").state == "rollout"


def test_guards_stay_with_a_trial_until_others_are_given(trials):
    trials.shadow("v2", champion="v1", who="ann", guards=[{"figure": "block_rate", "more": 0.1}])
    assert trials.rollout("v2", champion="v1", percent=5, share_of="k", who="ann").guards[0]["more"] == 0.1
    assert trials.rollout("v2", champion="v1", percent=9, share_of="k", who="ann", guards=[]).guards == []


def test_of_many_who_stop_a_trial_one_does(trials, tmp_path):
    trial = trials.rollout("v2", champion="v1", percent=10, share_of="k", who="ann")
    stopped = []

    def stop():
        other = SqliteDatabase(tmp_path / "office.sqlite")
        stopped.append(ModelTrials(other, "d").stop(trial.id, who="guard", why="blocks"))
        other.close()

    threads = [threading.Thread(target=stop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stopped) == [False] * 4 + [True]
    assert trials.all()[0].reason == "blocks"


def test_a_stop_of_the_one_before_leaves_the_next_alone(trials):
    before = trials.rollout("v2", champion="v1", percent=10, share_of="k", who="ann")
    trials.stop(before.id, who="ann", why="no good")
    trials.rollout("v3", champion="v1", percent=10, share_of="k", who="ann")
    assert not trials.stop(before.id, who="guard", why="late")
    assert [trial.version for trial in trials.running()] == ["v3"]


def test_what_cannot_be_made_champion_goes_on_being_tried(trials, database):
    trials.shadow("v2", champion="v1", who="ann")

    def fails():
        raise RuntimeError("the registry does not answer")

    with pytest.raises(RuntimeError):
        trials.promote("v2", who="ann", then=fails)
    assert trials.running()[0].state == "shadow"
    assert len(told(database)) == 1


@pytest.fixture
def careful(database):
    return ModelTrials(database, "d", four_eyes=True)


def test_with_four_eyes_what_whoever_began_a_trial_asks_for_waits_for_another_person(careful, database):
    promoted = []
    careful.shadow("v2", champion="v1", who="ann")
    request = careful.promote("v2", who="ann", then=lambda: promoted.append("ann"))
    assert (request.stage, request.author, promoted) == ("pending", "ann", [])
    assert careful.promote("v2", who="ann", then=lambda: None).id == request.id
    with pytest.raises(Conflict, match="four eyes"):
        careful.approve(request.id, champion="v1", who="ann", then=promoted.append)
    careful.approve(request.id, champion="v1", who="bob", then=promoted.append)
    assert (promoted, careful.running(), careful.approvals.one(request.id).stage) == (["v2"], [], "approved")
    actions = [action for _, action, _ in told(database)]
    assert actions == ["model.shadow", "approval.request", "approval.approve", "model.promote"]


def test_with_four_eyes_one_person_alone_lets_no_version_decide_tried_or_not(careful):
    request = careful.rollout("v2", champion="v1", percent=5, share_of="k", who="ann", guards=[{"figure": "p99_ms", "more": 5}])
    assert careful.running() == []
    careful.approve(request.id, champion="v1", who="bob", then=lambda _version: None)
    [trial] = careful.running()
    assert (trial.state, trial.percent, trial.share_of, trial.who, trial.guards[0]["more"]) == ("rollout", 5.0, "k", "ann", 5)
    assert careful.promote("v3", who="bob", then=lambda: pytest.fail("nobody else has looked")).author == "bob"
    assert careful.adopt("v4", champion="v1")
    assert careful.promote("v4", who="bob", then=lambda: pytest.fail("nobody else has looked")).author == "bob"


def test_with_four_eyes_another_person_promotes_at_once_and_anybody_rolls_back(careful):
    careful.shadow("v2", champion="v1", who="ann")
    assert careful.promote("v2", who="bob", then=lambda: None) is None
    trial = careful.shadow("v3", champion="v2", who="ann")
    assert careful.stop(trial.id, who="ann", why="no good")


def test_what_cannot_be_done_by_now_is_not_approved(careful):
    request = careful.rollout("v2", champion="v1", percent=5, share_of="k", who="ann")
    with pytest.raises(Conflict, match="decides already"):
        careful.approve(request.id, champion="v2", who="bob", then=lambda _version: None)
    assert careful.approvals.one(request.id).stage == "pending"
    with pytest.raises(MalformedEvent, match="cannot be asked for"):
        careful.ask("v2", "shadow", who="ann")
    with pytest.raises(MalformedEvent, match="per cent"):
        careful.ask("v2", "rollout", who="ann", percent=0, of="k")


def test_a_challenger_by_alias_is_watched_once_and_not_again(trials):
    assert not trials.adopt("v1", champion="v1")
    assert trials.adopt("v2", champion="v1")
    assert trials.running()[0].who == REGISTRY
    trials.stop(trials.running()[0].id, who="ann", why="no good")
    assert not trials.adopt("v2", champion="v1")


@pytest.mark.parametrize("percent", [0, -1, 100.5])
def test_a_share_that_is_none_is_refused(trials, percent):
    with pytest.raises(MalformedEvent, match="per cent"):
        trials.rollout("v2", champion="v1", percent=percent, share_of="k", who="ann")
    with pytest.raises(Conflict, match="decides already"):
        trials.shadow("v1", champion="v1", who="ann")


def test_a_rule_that_is_stopped_twice_is_not_rolled_back_twice(database):
    book = RuleStore(database, "d", lambda acting, lists: None)
    book.add("large", RuleBody(when="amount > 100", then="block"), who="ann")
    book.promote("large", 1, who="ann")
    book.add("large", RuleBody(when="amount > 1", then="block"), who="ann")
    book.rollout("large", 2, percent=10, share_of="customer_id", who="ann")
    assert book.stop("large", 2, who="guard", why="blocks everything")
    assert not book.stop("large", 2, who="guard", why="blocks everything")
    assert [(version.version, version.state) for version in book.versions("large")] == [(1, "active"), (2, "paused")]
