"""Features have a life: what is wanted, what is filled, who changed it, and the way back."""

import pytest

from penstock.audit import AuditLog
from penstock.database import SqliteDatabase
from penstock.errors import Conflict, DeclarationError, NotFound
from penstock.governance.features import FeatureStore

COUNT, SUM = {"kind": "count", "window": "1h"}, {"kind": "sum", "window": "1h"}
REACH = {"since_us": 1, "whole_us": 2, "sentence": "whole"}


class Checks:
    refused: str | None = None
    read_by: tuple = ()

    def fit(self, _versions):
        if self.refused:
            raise DeclarationError(self.refused)

    def readers(self, _name, _others):
        return self.read_by


@pytest.fixture
def database():
    found = SqliteDatabase()
    yield found
    found.close()


@pytest.fixture
def checks():
    return Checks()


@pytest.fixture
def book(database, checks):
    return FeatureStore(database, "d", checks, clock=lambda: 1)


def shown(book):
    return [(each.name, each.version, each.state) for each in book.versions()]


def wanted(book):
    return [(each.name, each.version) for each in book.wanted().versions]


def test_a_feature_goes_from_draft_to_active_and_every_change_of_what_is_wanted_turns_the_revision(book):
    revisions = [book.revision()]
    book.add("n", COUNT, who="ann", why="for a rule")
    assert (shown(book), wanted(book), book.revision()) == ([("n", 1, "draft")], [], revisions[0])
    for step in (
        lambda: book.activate("n", who="bob"),
        lambda: book.filled("n", 1, REACH, who="service"),
        lambda: book.archive("n", who="bob"),
    ):
        step()
        revisions.append(book.revision())
    assert revisions == sorted(set(revisions))
    assert (shown(book), wanted(book)) == ([("n", 1, "archived")], [])


def test_while_a_new_version_is_filled_the_active_one_stays_so_and_then_gives_way(book):
    book.add("n", COUNT, who="ann")
    book.activate("n", who="ann")
    assert book.filled("n", 1, REACH, who="service")
    book.add("n", SUM, who="ann")
    book.activate("n", who="ann")
    assert shown(book) == [("n", 1, "active"), ("n", 2, "filling")]
    assert wanted(book) == [("n", 2)]
    assert book.filled("n", 2, REACH, who="service")
    assert shown(book) == [("n", 1, "archived"), ("n", 2, "active")]
    book.rollback("n", who="ann")
    assert shown(book) == [("n", 1, "filling"), ("n", 2, "active")]
    book.rollback("n", who="ann")
    assert shown(book) == [("n", 1, "draft"), ("n", 2, "active")]


def test_of_two_who_say_that_it_is_filled_the_second_changes_nothing(book):
    book.add("n", COUNT, who="ann")
    book.activate("n", who="ann")
    assert book.filled("n", 1, REACH, who="a")
    before = book.revision()
    assert not book.filled("n", 1, REACH, who="b")
    assert book.revision() == before


def test_what_cannot_be_filled_is_a_draft_again_and_says_why(book):
    book.add("n", COUNT, who="ann")
    book.activate("n", who="ann")
    book.failed("n", 1, "no room", who="service")
    assert [(each.state, each.trouble) for each in book.versions()] == [("draft", "no room")]
    book.activate("n", who="ann")
    assert book.versions()[0].trouble is None


def test_what_is_refused_changes_nothing(book, checks, database):
    book.add("n", COUNT, who="ann")
    checks.refused = "it cannot work"
    before = book.revision(), len(AuditLog(database).entries())
    for step in (lambda: book.add("m", SUM, who="ann"), lambda: book.activate("n", who="ann")):
        with pytest.raises(DeclarationError, match="it cannot work"):
            step()
    assert (shown(book), (book.revision(), len(AuditLog(database).entries()))) == ([("n", 1, "draft")], before)


def test_what_something_reads_is_not_archived_and_its_readers_are_named(book, checks):
    book.add("n", COUNT, who="ann")
    checks.read_by = ("rule 'busy'", "model 12")
    with pytest.raises(Conflict, match="rule 'busy', model 12"):
        book.archive("n", who="ann")
    assert shown(book) == [("n", 1, "draft")]


def test_who_did_what_is_in_the_audit_log(book, database):
    book.add("n", COUNT, who="ann", why="because")
    book.activate("n", who="bob")
    book.filled("n", 1, REACH, who="service")
    log = AuditLog(database)
    entries = log.entries()[::-1]
    assert [(each.who, each.action) for each in entries] == [
        ("ann", "feature.add"),
        ("bob", "feature.activate"),
        ("service", "feature.filled"),
    ]
    assert log.verify() is None


def test_what_is_not_there_and_what_is_so_already_are_said(book):
    with pytest.raises(NotFound, match="no feature 'n'"):
        book.activate("n", who="ann")
    book.add("n", COUNT, who="ann")
    with pytest.raises(NotFound, match="no version 3"):
        book.activate("n", 3, who="ann")
    with pytest.raises(Conflict, match="nothing to go back to"):
        book.rollback("n", who="ann")
    book.activate("n", who="ann")
    with pytest.raises(Conflict, match="is being filled already"):
        book.activate("n", who="ann")


def test_a_version_is_active_when_every_shard_has_it_with_what_the_youngest_log_could_give(book):
    book.add("n", COUNT, who="ann")
    book.activate("n", who="bob")
    young, old = {"since_us": 9, "sentence": "young"}, {"since_us": 3, "sentence": "old"}
    assert book.filled("n", 1, young, who="service", shard=1, shards=3)
    assert book.filled("n", 1, young, who="service", shard=1, shards=3)  # again, after a restart
    assert book.filled("n", 1, {"since_us": None}, who="service", shard=2, shards=3)
    assert shown(book) == [("n", 1, "filling")]
    assert book.filled("n", 1, old, who="service", shard=0, shards=3)
    [version] = book.versions()
    assert (version.state, version.reach) == ("active", young)


def test_what_shards_had_filled_before_counts_no_more_when_a_version_is_filled_again(book):
    book.add("n", COUNT, who="ann")
    book.activate("n", who="bob")
    book.filled("n", 1, REACH, who="service", shard=0, shards=2)
    book.rollback("n", who="bob")
    book.activate("n", who="bob")
    book.filled("n", 1, REACH, who="service", shard=1, shards=2)
    assert shown(book) == [("n", 1, "filling")]
    book.filled("n", 1, REACH, who="service", shard=0, shards=2)
    assert shown(book) == [("n", 1, "active")]


def test_with_four_eyes_its_author_asks_and_another_person_activates(database, checks):
    book = FeatureStore(database, "d", checks, clock=lambda: 1, four_eyes=True)
    book.add("n", COUNT, who="ann")
    request = book.activate("n", who="ann")
    assert (request.kind, request.stage, shown(book)) == ("feature", "pending", [("n", 1, "draft")])
    assert book.ask("n", who="cleo").id == request.id
    with pytest.raises(Conflict, match="four eyes"):
        book.approve(request.id, who="ann")
    assert book.approve(request.id, who="bob").state == "filling"
    with pytest.raises(Conflict, match="before"):
        book.approve(request.id, who="cleo")
    book.add("m", COUNT, who="ann")
    assert book.activate("m", who="bob").state == "filling"
