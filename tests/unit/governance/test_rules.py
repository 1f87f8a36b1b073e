"""Rules have a life: what acts, what watches, who changed it, and the way back."""

import pytest

from penstock.database import SqliteDatabase
from penstock.errors import DeclarationError, PenstockError
from penstock.governance.rules import RuleBody, RuleStore
from penstock.governance.versions import FILE

LARGE, LARGER = RuleBody(when="amount > 100", then="block"), RuleBody(when="amount > 50", then="block")


@pytest.fixture
def database():
    found = SqliteDatabase()
    yield found
    found.close()


@pytest.fixture
def book(database):
    found = RuleStore(database, "d", lambda *_: None, clock=lambda: 1)
    found.adopt([("large", LARGE), ("burst", RuleBody(when="n > 3"))])
    return found


def shown(book):
    """Rules that run, each with the share of the keys that it acts on."""
    return [(each.name, *((each.share.begin, each.share.end) if each.share else (0.0, 100.0))) for each in book.running()]


def test_rules_of_the_file_are_first_and_act_in_their_order(book):
    assert shown(book) == [("large", 0.0, 100.0), ("burst", 0.0, 100.0)]
    assert [version.author for version in book.versions()] == [FILE, FILE]
    assert not book.adopt([("large", LARGE), ("burst", RuleBody(when="n > 3"))])


def test_a_version_goes_from_draft_to_active_and_every_step_turns_the_revision(book):
    revisions = [book.revision()]
    added = book.add("large", LARGER, who="ann", why="smaller ones, too")
    assert (added.version, added.state, shown(book)[0]) == (2, "draft", ("large", 0.0, 100.0))
    for step in (
        lambda: book.shadow("large", 2, who="ann"),
        lambda: book.rollout("large", 2, percent=10, share_of="customer_id", who="ann"),
        lambda: book.promote("large", who="bob"),
    ):
        step()
        revisions.append(book.revision())
    assert revisions == sorted(set(revisions))
    assert shown(book) == [("large", 0.0, 100.0), ("burst", 0.0, 100.0)]
    assert [(version.version, version.state) for version in book.versions("large")] == [(1, "archived"), (2, "active")]


def test_a_candidate_watches_beside_the_active_one_and_then_shares_the_keys_with_it(book):
    book.add("large", LARGER, who="ann")
    book.shadow("large", 2, who="ann")
    assert shown(book)[:2] == [("large", 0.0, 100.0), ("large_v2", 0.0, 0.0)]
    book.rollout("large", 2, percent=10, share_of="customer_id", who="ann")
    assert shown(book)[:2] == [("large", 10.0, 100.0), ("large_v2", 0.0, 10.0)]
    assert {each.share.of for each in book.running() if each.code == "large"} == {"customer_id"}


def test_going_back_stops_the_candidate_first_and_then_brings_the_one_before(book):
    book.add("large", LARGER, who="ann")
    book.promote("large", 2, who="ann")
    book.add("large", RuleBody(when="amount > 1"), who="ann")
    book.rollout("large", 3, percent=50, share_of="customer_id", who="ann")
    assert book.rollback("large", who="bob", why="too many").version == 3
    assert (shown(book)[0], book.running()[0].when) == (("large", 0.0, 100.0), LARGER.when)
    assert book.rollback("large", who="bob").version == 1
    assert book.running()[0].when == LARGE.when
    assert book.rollback("large", who="bob").version == 2


def test_a_deployment_follows_the_file_but_overrules_nobody(book):
    book.adopt([("large", RuleBody(when="amount > 900"))])
    assert shown(book) == [("large", 0.0, 100.0)]
    book.add("large", LARGER, who="ann")
    book.promote("large", 3, who="ann")
    book.adopt([("large", RuleBody(when="amount > 700"))])
    assert book.running()[0].when == LARGER.when
    assert [version.state for version in book.versions("large")] == ["archived", "archived", "active", "draft"]
    book.adopt([])
    assert book.running()[0].when == LARGER.when


def test_what_could_not_work_changes_nothing(database):
    def check(running, lists):
        if any("amuont" in each.when for each in running):
            raise DeclarationError("Did you mean amount?")

    book = RuleStore(database, "d", check)
    book.adopt([("large", LARGE)])
    before = book.revision()
    with pytest.raises(DeclarationError, match="amount"):
        book.add("large", RuleBody(when="amuont > 3"), who="ann")
    assert (len(book.versions()), book.revision()) == (1, before)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda book: book.promote("lage", who="a"), "Did you mean large"),
        (lambda book: book.promote("large", who="a"), r"has no candidate; it has 1 \(active\)"),
        (lambda book: book.promote("large", 7, who="a"), "has no version 7"),
        (lambda book: book.shadow("large", 1, who="a"), "version 1 of 'large' is active"),
        (lambda book: book.rollout("large", 1, percent=0, share_of="x", who="a"), "more than 0"),
        (lambda book: book.rollback("large", who="a"), "nothing to go back to"),
    ],
)
def test_a_step_that_makes_no_sense_says_why(book, ask, message):
    with pytest.raises(PenstockError, match=message):
        ask(book)


def test_every_change_is_in_the_audit_log_with_who_made_it(book, database):
    book.add("large", LARGER, who="ann", why="smaller ones")
    book.promote("large", 2, who="bob")
    rows = database.read("SELECT who, action, subject FROM audit ORDER BY seq")
    assert rows[-3:] == [
        ("ann", "rule.add", "d/large/2"),
        ("bob", "rule.replace", "d/large/1"),
        ("bob", "rule.promote", "d/large/2"),
    ]


def test_two_detectors_share_a_database_and_nothing_else(database, book):
    other = RuleStore(database, "e", lambda *_: None)
    assert (other.versions(), other.revision()) == ([], 0)
    other.adopt([("large", LARGER)])
    assert book.running()[0].when == LARGE.when


def test_archived_rules_neither_act_nor_watch(book):
    book.archive("large", who="ann", why="over")
    assert shown(book) == [("burst", 0.0, 100.0)]
    assert book.pause("burst", who="ann").state == "paused"
    assert shown(book) == []
