"""One state machine for everything that people change: what its tables of transitions permit is all that can happen."""

from typing import get_args, get_type_hints

import pytest

from penstock.audit import AuditLog
from penstock.database import SqliteDatabase
from penstock.errors import Conflict
from penstock.governance.features import FEATURE
from penstock.governance.list_reader import LIST
from penstock.governance.model_trials import MODEL
from penstock.governance.rules import RULE, RuleBody, RuleStore, StoredRule
from penstock.governance.versions import VersionChanges

KINDS = {kind.name: kind for kind in (RULE, FEATURE, MODEL, LIST)}


def states(kind):
    return set(get_args(get_type_hints(kind.struct).get("state"))) or {"active", "archived"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_transitions_lead_between_states_that_versions_have(kind):
    for transition in kind.transitions.values():
        assert {*transition.sources, transition.target} <= states(kind)
        for state, first in transition.replaces.items():
            assert state in kind.transitions[first].sources
            assert kind.transitions[first].target not in transition.replaces


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_no_more_than_one_version_is_in_a_state_that_replaces_another(kind):
    """Whatever enters a state that holds one version at a time makes the one that has it leave."""
    for transition in kind.transitions.values():
        if transition.target in ("filling", "active") and kind is not LIST:
            assert transition.target in transition.replaces


@pytest.fixture
def database():
    found = SqliteDatabase()
    yield found
    found.close()


@pytest.mark.parametrize("state", sorted(states(RULE)))
@pytest.mark.parametrize("action", list(RULE.transitions))
def test_a_transition_applies_from_its_sources_and_from_no_other_state(database, action, state):
    RuleStore(database, "d", lambda *_: None)
    log, transition = AuditLog(database), RULE.transitions[action]
    version = StoredRule("large", 1, RuleBody(when="amount > 1"), "ann", "", 1, state, 0.0, None, 0)
    with database.write() as transaction:
        changes = VersionChanges(RULE, transaction, "d", lambda: 7)
        changes.insert(version, "ann", "rule.add", {})
    with database.write() as transaction:
        changes = VersionChanges(RULE, transaction, "d", lambda: 7)
        if state not in transition.sources:
            with pytest.raises(Conflict, match=f"'large' is {state} already"):
                changes.apply(action, changes.versions[0], who="bob")
        else:
            changes.apply(action, changes.versions[0], who="bob")
            [kept] = changes.versions
            assert (kept.state, kept.changed_by, kept.changed_us) == (transition.target, "bob", 7)
            assert kept.was_active == (transition.target == "active")
    [stored] = RULE.read(database.read, "d")
    assert stored.state == (transition.target if state in transition.sources else state)
    assert len(log.entries()) == 1 + (state in transition.sources)
