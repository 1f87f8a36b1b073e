"""Lists are kept with who, why and until when; what was on them at any revision can be told for ever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.audit import AuditLog
from penstock.database import SqliteDatabase
from penstock.errors import Conflict, DeclarationError, MalformedEvent, NotFound
from penstock.expressions import ListMember, Members
from penstock.governance.approvals import Request
from penstock.governance.lists import ListStore, NewEntry


class Now:
    """A clock that a test moves."""

    us = 1_000

    def __call__(self):
        return self.us


@pytest.fixture
def database():
    found = SqliteDatabase()
    yield found
    found.close()


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def book(database, now):
    found = ListStore(database, "d", lambda *_: None, now, token=lambda value: f"tok_{value[::-1]}")
    found.create("stolen", who="ann")
    return found


def held(book, name="stolen"):
    return sorted(entry.value for entry in book.entries(name)[0])


def same(one, other):
    return (one.version, one.table.tolist(), one.values.tolist()) == (
        other.version,
        other.table.tolist(),
        other.values.tolist(),
    )


def revision(database):
    return database.read("SELECT revision FROM rule_revisions WHERE detector = 'd'")[0][0]


def test_values_come_and_go_and_every_entry_says_who_why_and_when(book, database):
    before = revision(database)
    done = book.add("stolen", [NewEntry("D1", "phoned"), NewEntry("D2", "phoned")], who="ann")
    assert (done.added, done.revision, revision(database)) == (2, 2, before + 1)
    assert book.remove("stolen", ["D1", "D9"], who="bob", why="found again").removed == 1
    assert held(book) == ["D2"]
    (entry,) = book.entries("stolen", "removed")[0]
    assert (entry.value, entry.author, entry.reason, entry.removed_by) == ("D1", "ann", "phoned", "bob")
    actions = [(e.who, e.action, e.details.get("values")) for e in AuditLog(database).entries(limit=2)]
    assert actions == [("bob", "list.remove", ["D1"]), ("ann", "list.add", ["D1", "D2"])]
    assert AuditLog(database).verify() is None


def test_a_change_that_changes_nothing_is_none(book, database):
    book.add("stolen", [NewEntry("D1", "phoned")], who="ann")
    before = revision(database)
    again = book.add("stolen", [NewEntry("D1", "phoned")], who="bob")
    assert (again.added, again.unchanged, again.revision, revision(database)) == (0, 1, 2, before)
    other = book.add("stolen", [NewEntry("D1", "seen")], who="bob")
    assert (other.replaced, [e.reason for e in book.entries("stolen")[0]]) == (1, ["seen"])


def test_an_entry_counts_for_events_that_arrive_before_its_expiry_whenever_that_is_asked(book, now):
    book.add("stolen", [NewEntry("D1", "", 2_000), NewEntry("D2")], who="ann")
    members = book.members()["stolen"]
    assert (members.at(1_999), members.at(2_000)) == ({"D1", "D2"}, {"D2"})
    now.us = 5_000
    assert book.members()["stolen"].version == members.version
    assert held(book) == ["D2"]
    assert (book.counts()["stolen"].in_force, book.counts()["stolen"].expired) == (1, 1)
    with pytest.raises(MalformedEvent, match="expired already"):
        book.add("stolen", [NewEntry("D3", "", 4_000)], who="ann")


def test_what_was_on_a_list_after_each_change_can_be_told_for_ever(book):
    seen, followed = [book.members()["stolen"]], book.members()
    for change in (
        lambda: book.add("stolen", [NewEntry("D1"), NewEntry("D2")], who="ann"),
        lambda: book.remove("stolen", ["D1"], who="ann"),
        lambda: book.add("stolen", [NewEntry("D1", "again", 9_000)], who="ann"),
        lambda: book.add("stolen", [NewEntry("D1", "once more")], who="ann"),
    ):
        change()
        seen.append(book.members()["stolen"])
        followed = book.members(followed)
        assert same(followed["stolen"], seen[-1])
    assert len({members.version for members in seen}) == 5
    for members in seen:
        again = book.at("stolen", int(members.version.partition("-")[0]))
        assert same(again, members)


def test_lists_that_have_not_changed_are_not_read_again(book):
    book.create("vip", "allow", who="ann")
    first = book.members()
    book.add("vip", [NewEntry("C1")], who="ann")
    then = book.members(first)
    assert then["stolen"] is first["stolen"]
    assert then["vip"] is not first["vip"]


def test_what_a_file_says_is_taken_in_and_what_people_changed_stays(book):
    file = {"block": Members.of([ListMember("a"), ListMember("b"), ListMember("c", until_us=9_000)])}
    book.adopt(file)
    book.adopt(file)
    assert (held(book, "block"), book.one("block").revision) == (["a", "b", "c"], 2)
    book.remove("block", ["a"], who="ann")
    book.add("block", [NewEntry("x")], who="ann")
    book.adopt({"block": Members.of([ListMember("a"), ListMember("b"), ListMember("d")])})
    assert held(book, "block") == ["b", "d", "x"]
    book.adopt(file)
    assert held(book, "block") == ["b", "c", "x"]


def test_personal_values_are_kept_as_tokens_and_found_by_either(book, database):
    book.create("cards", personal=True, who="ann")
    book.add("cards", [NewEntry("4711"), NewEntry("tok_99")], who="ann")
    assert held(book, "cards") == ["tok_1174", "tok_99"]
    assert list(book.find("4711")) == list(book.find("tok_1174")) == ["cards"]
    assert all("4711" not in str(row) for row in database.read("SELECT * FROM list_entries"))
    bare = ListStore(database, "d", lambda *_: None)
    with pytest.raises(MalformedEvent, match="personal_key_file"):
        bare.add("cards", [NewEntry("4712")], who="ann")


def test_a_protected_list_changes_when_another_person_approves(book):
    book.create("sanctions", protected=True, who="ann")
    asked = book.add("sanctions", [NewEntry("X", "UN")], who="ann")
    assert isinstance(asked, Request)
    assert held(book, "sanctions") == []
    with pytest.raises(Conflict, match="another person"):
        book.approve(asked.id, who="ann")
    assert book.approve(asked.id, who="bob").added == 1
    assert book.entries("sanctions")[0][0].author == "ann"
    gone = book.remove("sanctions", ["X"], who="bob", why="delisted")
    book.approve(gone.id, who="ann")
    assert held(book, "sanctions") == []


def test_a_list_is_put_away_only_when_no_rule_asks_it(database, now):
    def check(_acting, names):
        if "asked" not in names:
            raise DeclarationError("rule 'r' asks it")

    book = ListStore(database, "d", check, now)
    for name in ("asked", "free"):
        book.create(name, who="ann")
    with pytest.raises(Conflict, match="rule 'r' asks it"):
        book.archive("asked", who="ann")
    book.archive("free", who="ann")
    assert list(book.members()) == ["asked"]
    book.create("free", who="bob")
    assert [kept.name for kept in book.versions() if not kept.archived] == ["asked", "free"]


def test_pages_follow_one_another_and_find_how_values_begin(book):
    book.add("stolen", [NewEntry(f"D{k}") for k in range(5)], who="ann")
    book.add("stolen", [NewEntry("E1")], who="ann")
    first, following = book.entries("stolen", limit=4)
    second, end = book.entries("stolen", limit=4, before=following)
    assert [e.value for e in first] + [e.value for e in second] == ["E1", "D0", "D1", "D2", "D3", "D4"]
    assert end is None
    assert [e.value for e in book.entries("stolen", search="E")[0]] == ["E1"]


def test_mistakes_say_what_there_is(book):
    with pytest.raises(NotFound, match="Did you mean stolen"):
        book.add("stoln", [NewEntry("D1")], who="ann")
    with pytest.raises(Conflict, match="already"):
        book.create("stolen", who="ann")
    with pytest.raises(MalformedEvent, match="no place in a list"):
        book.entries("stolen", before="x")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([None, 5_000, 6_000, "off"])), max_size=4), max_size=8
    )
)
def test_whoever_follows_change_by_change_or_misses_some_holds_what_a_fresh_look_finds(rounds):
    """Changes are read alone, so they are compared with reading everything."""
    database = SqliteDatabase()
    book = ListStore(database, "d", lambda *_: None, lambda: 1)
    book.create("l", who="ann")
    followed = late = book.members()
    for number, changes in enumerate(rounds):
        book.remove("l", [value for value, until in changes if until == "off"], who="ann")
        book.add("l", [NewEntry(value, str(number), until) for value, until in changes if until != "off"], who="ann")
        followed = book.members(followed)
        if number % 3 == 2:
            late = book.members(late)
            assert same(late["l"], book.members()["l"])
        assert same(followed["l"], book.members()["l"])
    database.close()
