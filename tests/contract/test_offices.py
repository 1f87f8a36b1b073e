"""What every database of the office owes (`penstock.database.sqlite`), and its drawers on top, on each implementation."""

import random
import threading
from itertools import count

import msgspec
import pytest

from penstock.adapters.postgres import PostgresDatabase
from penstock.audit import AuditLog, erase, note
from penstock.cases.attachments import MOST_FILES, attach, attached, attachments, detach
from penstock.cases.case import EntityKey, NewCase
from penstock.cases.members import members
from penstock.cases.planning import Planned, ask_opinion, plan, set_due_minutes
from penstock.cases.queues import Filter, page, queues, sweep
from penstock.cases.store import Cases
from penstock.cases.workload import queue_ages, workload
from penstock.clock import system_clock
from penstock.database import SqliteDatabase, TableSchema
from penstock.errors import ConfigurationError, Conflict, LedgerError, NotFound
from penstock.expressions import ListMember, Members
from penstock.governance.alert_acknowledgements import AlertAcknowledgements
from penstock.governance.alert_channels import AlertChannels
from penstock.governance.features import FeatureStore
from penstock.governance.lists import ListStore, NewEntry
from penstock.governance.model_trials import ModelTrials
from penstock.governance.quarantine_actions import QuarantineActions
from penstock.governance.rules import RuleBody, RuleStore
from penstock.identity.administrators import keep_one
from penstock.identity.keys import Keys
from penstock.identity.users import Users
from penstock.privacy.erasure import erase_person
from penstock.privacy.vault import Vault
from penstock.webhooks.endpoints import EndpointChanges, Endpoints
from penstock.webhooks.events import Event
from penstock.webhooks.outbox import Attempt, Outbox, Progress
from penstock.wiring.alerts import open_channel

NOTES = TableSchema("notes", [["CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL, n BIGINT)"]])


@pytest.fixture(params=["sqlite", "postgres"])
def open_office(request, tmp_path):
    """Opens the same office as often as it is called."""
    opened = []
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None

    def open_it():
        opened.append(PostgresDatabase(url) if url is not None else SqliteDatabase(tmp_path / "office.sqlite"))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def office(open_office):
    return open_office()


def all_at_once(*work):
    """Run these in threads of their own, and raise what one of them raised."""
    raised = []

    def guarded(each):
        try:
            each()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(each,)) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


# ---------------------------------------------------------------- the port


def test_a_transaction_is_whole_or_nothing(office):
    office.prepare(NOTES)
    with pytest.raises(LedgerError), office.write() as transaction:
        transaction.run("INSERT INTO notes VALUES (:id, 'first', 1)", {"id": "a"})
        transaction.run("INSERT INTO notes VALUES (:id, 'again', 2)", {"id": "a"})
    assert office.read("SELECT count(*) FROM notes") == [(0,)]
    with pytest.raises(RuntimeError), office.write() as transaction:
        transaction.run("INSERT INTO notes VALUES ('a', '100 %', 1)")
        raise RuntimeError
    assert office.read("SELECT id FROM notes") == []


def test_values_come_back_as_they_were_given(office):
    office.prepare(NOTES)
    given = {"id": "it's :not %(a) parameter", "text": 'ü "x" 100 %', "n": 1 << 60}
    with office.write() as transaction:
        rows = transaction.run("INSERT INTO notes VALUES (:id, :text, :n) RETURNING id, text, n", given)
    assert rows == office.read("SELECT * FROM notes WHERE id = :id AND text LIKE 'ü%'", given) == [tuple(given.values())]


def test_many_rows_are_put_in_as_they_were_given_all_or_none(office):
    office.prepare(NOTES)
    texts = ["tab\tand\nline", "back\\slash \\N", "", "100 % :not %(a)s", 'ü "x", it\'s']
    rows = [(f"r{number}", text, None if number % 2 else number) for number, text in enumerate(texts)]
    with office.write() as transaction:
        transaction.insert("notes", "id, text, n", iter(rows))
        transaction.insert("notes", "id, text", [])
    assert office.read("SELECT id, text, n FROM notes ORDER BY id") == rows
    with pytest.raises(LedgerError), office.write() as transaction:
        transaction.insert("notes", "id, text", [("new", ""), ("r1", "again")])
    with pytest.raises(LedgerError), office.write() as transaction:
        transaction.insert("notes", "id, text", [("new", ""), ("newer", None)])
    assert office.read("SELECT count(*) FROM notes") == [(5,)]


def test_what_a_transaction_has_written_it_reads_and_others_do_not_before_its_end(open_office):
    office, other = open_office(), open_office()
    office.prepare(NOTES)
    with office.write() as transaction:
        transaction.run("INSERT INTO notes VALUES ('a', 'x', NULL)")
        assert office.read("SELECT id, n FROM notes") == [("a", None)]
        assert other.read("SELECT id FROM notes") == []
    assert other.read("SELECT id FROM notes") == [("a",)]


def test_what_is_read_and_then_changed_by_many_at_once_adds_up(open_office):
    offices = [open_office() for _ in range(4)]
    offices[0].prepare(NOTES)
    with offices[0].write() as transaction:
        transaction.run("INSERT INTO notes VALUES ('a', 'x', 0)")

    def add(office):
        for _ in range(10):
            with office.write() as transaction:
                [(n,)] = transaction.run("SELECT n FROM notes")
                transaction.run("UPDATE notes SET n = :n", {"n": n + 1})

    all_at_once(*(lambda each=each: add(each) for each in offices))
    assert offices[0].read("SELECT n FROM notes") == [(40,)]


def test_tables_are_made_and_changed_once_by_however_many_begin(open_office):
    more = TableSchema("notes", [*NOTES.steps, ["ALTER TABLE notes ADD COLUMN author TEXT"]])
    offices = [open_office() for _ in range(4)]
    all_at_once(*(lambda each=each: each.prepare(NOTES) for each in offices))
    all_at_once(*(lambda each=each: each.prepare(more) for each in offices))
    assert offices[0].read("SELECT author FROM notes") == []
    with pytest.raises(LedgerError, match="use a newer one"):
        offices[0].prepare(NOTES)


def test_scrubbing_a_table_changes_nothing_that_is_there(office):
    office.prepare(NOTES)
    with office.write() as transaction:
        transaction.run("INSERT INTO notes VALUES ('a', 'x', 1), ('b', 'y', 2)")
        transaction.run("DELETE FROM notes WHERE id = 'a'")
    office.scrub("notes")
    assert office.read("SELECT id FROM notes") == [("b",)]


def test_a_closed_office_says_so(open_office):
    office = open_office()
    office.close()
    office.close()
    with pytest.raises(LedgerError):
        office.read("SELECT 1")


# ---------------------------------------------------------------- the drawers


def test_many_processes_write_one_whole_chain(open_office):
    offices = [open_office() for _ in range(4)]
    logs = [AuditLog(office) for office in offices]

    def write(office, who):
        for n in range(12):
            with office.write() as transaction:
                note(transaction, who=who, action="x.y", subject=f"x/{n % 3}", details={"n": n}, at_us=n)

    all_at_once(*(lambda each=each, k=k: write(each, f"p{k}") for k, each in enumerate(offices)))
    assert logs[0].head().seq == 48
    assert logs[1].verify() is None
    with offices[2].write() as transaction:
        assert erase(transaction, who="ana", subject="x/1", at_us=99) == 16
    assert logs[3].verify() is None
    assert logs[3].erasures()[0].subject == "x/1"
    with offices[0].write() as transaction:
        transaction.run("UPDATE audit SET who = 'nobody' WHERE seq = 7")
    assert logs[1].verify().seq == 7
    assert [entry.seq for entry in logs[0].entries(limit=2, before=48, action="x.y")] == [47, 46]


def test_users_sessions_and_keys_are_shared(open_office):
    here, there = open_office(), open_office()
    people = Users(here)
    people.add("ana", "correct horse battery", ["analyst"], who="local")
    with pytest.raises(Conflict):
        Users(there).add("ana", "another long password", ["viewer"], who="local")
    token = Users(there).sign_in("ana", "correct horse battery")
    assert [session.person for session in people.sessions()] == ["ana"]
    people.sign_out(token)
    assert Users(there).sessions() == []
    secret, key = Keys(here).add("checkout", ["decider"], expires_us=1 << 60, who="local")
    assert [found.id for found, _ in Keys(there).valid()] == [key.id]
    Keys(there).used({key.id: 5})
    Keys(there).revoke(key.id, who="local")
    assert Keys(here).valid() == []
    assert Keys(here).all()[0].used_us == 5
    assert AuditLog(there).verify() is None
    assert secret not in str(there.read("SELECT * FROM api_keys"))


def test_the_last_administrator_stays_also_where_two_of_them_end_each_other(open_office):
    here, there = open_office(), open_office()
    ana, bob, keys = Users(here), Users(there), Keys(there)
    for name in ("ana", "bob"):
        ana.add(name, "correct horse battery", ["administrator"], who="local", check=keep_one)
    refused = []

    def end(people, name):
        try:
            people.change(name, disabled=True, who="local", check=keep_one)
        except Conflict:
            refused.append(name)

    all_at_once(lambda: end(ana, "bob"), lambda: end(bob, "ana"))
    assert len(refused) == 1
    assert [person.name for person in ana.all() if person.disabled_us is None] == refused
    _, key = keys.add("root", ["administrator"], who="local", check=keep_one)
    bob.change(refused[0], roles=["viewer"], who="local", check=keep_one)
    with pytest.raises(Conflict, match="nobody would be left"):
        keys.revoke(key.id, who="local", check=keep_one)
    log = AuditLog(there)
    assert log.verify() is None
    assert {entry.action for entry in log.entries(action="users")} == {"users.add", "users.disable", "users.roles"}
    newest = log.entries(1)[0]
    assert [entry.seq for entry in log.entries(since_us=newest.at_us)] == [newest.seq]
    assert newest.seq not in [entry.seq for entry in log.entries(until_us=newest.at_us)]


def test_a_refused_event_is_handled_once_and_an_alert_acknowledged_by_who_is_first(open_office):
    here, there = QuarantineActions(open_office()), QuarantineActions(open_office())
    here.put("shop:1:a", "ana", "resubmitted", transaction_id="t1")
    with pytest.raises(Conflict):
        there.put("shop:1:a", "bob", "dismissed", reason="a test")
    assert {event: found.who for event, found in there.of(["shop:1:a", "shop:2:b"]).items()} == {"shop:1:a": "ana"}
    assert there.of([]) == {}
    alerts, again = AlertAcknowledgements(open_office()), AlertAcknowledgements(open_office())
    assert alerts.put("shop:burst:1", "ana", "on it") == again.put("shop:burst:1", "bob")
    log = AuditLog(open_office())
    assert [(entry.who, entry.action) for entry in log.entries()] == [
        ("ana", "alerts.acknowledge"),
        ("ana", "quarantine.resubmit"),
    ]
    assert log.verify() is None


def test_channels_of_alerts_are_the_same_in_every_process_and_each_change_is_audited(open_office):
    here, there = AlertChannels(open_office(), open_channel), AlertChannels(open_office(), open_channel)
    made = here.add("soc", "webhook", {"url": "https://soc.example/x", "secret": "s", "timeout_s": 2.5}, who="ana")
    with pytest.raises(Conflict):
        there.add("soc", "slack", {"url": "https://soc.example/y"}, who="bob")
    assert there.all() == [made] == [there.get("soc")]
    changed = there.change("soc", {"secret": "", "severity": "critical"}, who="bob", enabled=False)
    assert here.get("soc") == changed
    assert (changed.settings, changed.enabled) == (
        {"url": "https://soc.example/x", "timeout_s": 2.5, "severity": "critical"},
        False,
    )
    all_at_once(*(lambda each=each: each.change("soc", {"timeout_s": 9.0}, who="ana") for each in (here, there)))
    here.remove("soc", who="ana")
    with pytest.raises(NotFound):
        there.get("soc")
    log = AuditLog(open_office())
    details = [(entry.action, entry.details) for entry in log.entries()]
    assert details[0] == ("alert_channels.remove", {"kind": "webhook"})
    assert details[-1][1] == {
        "kind": "webhook",
        "url": "https://soc.example/x",
        "timeout_s": 2.5,
        "enabled": True,
        "secrets": ["secret"],
    }
    assert (len(details), log.verify()) == (5, None)


def new(number):
    return NewCase(
        detector="shop",
        transaction_id=f"t{number}",
        origin="review",
        propensity=1.0,
        decision="REVIEW",
        score=0.5,
        amount=float(number),
        expected_loss=number / 2,
        reason=None,
        event_us=number,
        keys=(EntityKey("customer", f"c{number % 2}"),),
    )


def test_a_case_is_taken_by_one_person_however_many_ask_at_once(open_office):
    drawers = [Cases(open_office()) for _ in range(4)]
    drawers[0].follow("log", 3, [new(n) for n in range(8)])
    assert drawers[1].follow("log", 3, [new(1)]) == 0, "a transaction has one case"
    taken, number = [], count()

    def take(drawer):
        who = f"p{next(number)}"
        while (case := drawer.take_next(who)) is not None:
            taken.append(case.id)
            drawer.decide(case.id, who, "fraud", reason="card_stolen")

    all_at_once(*(lambda each=each: take(each) for each in drawers))
    assert len(taken) == len(set(taken)) == 8
    assert queues(drawers[0]) == []
    decided, _ = page(drawers[0], Filter(state="decided", entity="customer", key="c1"))
    assert [case.transaction_id for case in decided] == ["t7", "t5", "t3", "t1"]
    assert len(drawers[1].pending_verdicts("shop")) == 8


def test_lists_of_cases_are_the_same_everywhere(open_office):
    cases = Cases(open_office())
    cases.follow("log", 3, [new(n) for n in range(5)])
    first, following = page(cases, Filter(), limit=2)
    rest, end = page(cases, Filter(), limit=3, before=following)
    assert [case.transaction_id for case in first + rest] == ["t4", "t3", "t2", "t1", "t0"]
    assert end is None
    [queue] = queues(cases)
    assert (queue.waiting, queue.taken, queue.expected_loss) == (5, 0, 5.0)
    assert sweep(cases, "ana", "good", chosen=Filter(entity="customer", key="c0"), dry_run=False).count == 3


def test_files_of_a_case_come_back_as_they_were_given_and_no_more_than_fit(open_office):
    drawers = [Cases(open_office()) for _ in range(3)]
    drawers[0].follow("log", 3, [new(1)])
    [case] = page(drawers[0], Filter())[0]
    content = bytes(range(256)) * 100
    added = attach(drawers[0], case.id, "ana", "receipt \u00fc.pdf", content)
    assert attached(drawers[1], case.id, added.id) == (added, content)
    refused = []

    def fill(drawer):
        try:
            while True:
                attach(drawer, case.id, "bob", "more.bin", b"more")
        except Conflict as error:
            refused.append(str(error))

    all_at_once(*(lambda each=each: fill(each) for each in drawers))
    assert [f"has {MOST_FILES} files" in each for each in refused] == [True] * 3
    assert len(attachments(drawers[2].database, case.id)) == MOST_FILES
    detach(drawers[1], case.id, added.id, "ana")
    assert added not in attachments(drawers[0].database, case.id)
    lines = [(each.who, each.action) for each in drawers[0].history(case.id)]
    assert (lines.count(("bob", "attach")), lines[-1]) == (MOST_FILES - 1, ("ana", "detach"))
    assert AuditLog(drawers[0].database).verify() is None


def test_decisions_about_one_subject_that_come_at_once_are_one_case_everywhere(open_office):
    """Several processes open, judge, plan and undo; every transaction is in one case, and every label waits once."""
    drawers = [Cases(open_office()) for _ in range(3)]
    of_one = [msgspec.structs.replace(new(n), subject=EntityKey("customer", "c")) for n in range(12)]
    parts = [of_one[start : start + 6] for start in (0, 3, 6)]
    all_at_once(*(lambda pair=pair: pair[0].follow("log", 1, pair[1]) for pair in zip(drawers, parts, strict=True)))
    [case] = page(drawers[0], Filter(), order="priority")[0]
    assert (case.transactions, case.expected_loss) == (12, 33.0)
    assert {each.transaction_id for each in members(drawers[1].database, case.id)} == {f"t{n}" for n in range(12)}
    set_due_minutes(drawers[0], "experts", "mia", 5)
    assert drawers[1].escalate(case.id, "ana", "experts", "for @bob").due_us is not None
    plan(drawers[2], case.id, "mia", Planned(assignee="bob", priority="high", tags=["ring"]))
    for chosen in ({"assignee": "bob"}, {"priority": "high"}, {"tag": "ring"}, {"mentioned": "bob"}, {"overdue": False}):
        assert len(page(drawers[0], Filter(**chosen), order="due")[0]) == 1, chosen
    drawers[0].decide(case.id, "bob", "good", transactions=["t1"])
    drawers[1].decide(case.id, "bob", "fraud")
    assert len(drawers[2].pending_verdicts("shop")) == 12
    assert drawers[2].undo(case.id, "bob").state == "escalated"
    assert [each.transaction_id for each in drawers[2].pending_verdicts("shop")] == ["t1"]
    ask_opinion(drawers[0], case.id, "bob", "mia", verdict="fraud")
    assert [(each.analyst, each.open) for each in workload(drawers[2], 1)] == [("bob", 0), ("mia", 1)]
    assert [(each.queue, each.under_1h) for each in queue_ages(drawers[2])] == [("experts", 1)]
    assert drawers[1].decide(case.id, "mia", "fraud", seen=12).verdict == "fraud"
    assert AuditLog(drawers[0].database).verify() is None


def test_a_rule_lives_its_life_and_all_processes_see_it(open_office):
    admin = [RuleStore(open_office(), "shop", lambda *_: None) for _ in range(2)]
    body = RuleBody(when="amount > 5", then="review")
    admin[0].adopt([("big", body)])
    assert not admin[1].adopt([("big", body)])
    added = admin[1].add("big", RuleBody(when="amount > 9", then="block"), who="ana", why="less noise")
    admin[0].rollout("big", added.version, percent=10.0, share_of="customer_id", who="ana")
    before = admin[1].revision()
    admin[0].promote("big", who="bob")
    assert admin[1].revision() == before + 1
    admin[1].rollback("big", who="bob", why="too many")
    assert [(each.version, each.state) for each in admin[0].versions("big")] == [(1, "active"), (2, "paused")]


class AnyFeature:
    """Checks that refuse nothing."""

    def fit(self, _versions):
        pass

    def readers(self, _name, _others):
        return ()


def test_a_feature_lives_its_life_and_all_processes_see_it(open_office):
    admin = [FeatureStore(open_office(), "shop", AnyFeature()) for _ in range(2)]
    body = {"kind": "count", "entity": "customer", "window": "1h"}
    admin[0].add("busy", body, who="ana", why="for a rule")
    admin[1].activate("busy", who="bob")
    assert [(each.name, each.body) for each in admin[0].wanted().versions] == [("busy", body)]
    before = admin[0].revision()
    all_at_once(*(lambda book=book: book.filled("busy", 1, {"since_us": 1}, who="service") for book in admin))
    assert admin[1].revision() == before + 1
    assert [(each.state, each.reach) for each in admin[1].versions()] == [("active", {"since_us": 1})]
    admin[1].archive("busy", who="bob")
    assert admin[0].wanted().versions == []


def test_lists_live_their_lives_and_all_processes_see_them(open_office):
    admin = [ListStore(open_office(), "shop", lambda *_: None) for _ in range(2)]
    declared = {"stolen": Members.of([ListMember("a"), ListMember("b")])}
    all_at_once(*(lambda book=book: book.adopt(declared) for book in admin))
    assert admin[0].one("stolen").revision == 2
    admin[1].add("stolen", [NewEntry("c", "phoned", system_clock() + 10**9), NewEntry("a")], who="ana")
    admin[0].remove("stolen", ["b"], who="bob", why="found")
    assert sorted(admin[1].members()["stolen"].values) == ["a", "c"]
    assert sorted(admin[1].at("stolen", 2).values) == ["a", "b"]
    first, following = admin[0].entries("stolen", limit=1)
    assert ([e.value for e in first], len(admin[0].entries("stolen", before=following)[0])) == (["a"], 1)
    assert [e.value for e in admin[0].entries("stolen", search="c")[0]] == ["c"]
    assert admin[0].counts()["stolen"].in_force == 2
    assert [(name, len(entries)) for name, entries in admin[1].find("a").items()] == [("stolen", 2)]
    admin[0].archive("stolen", who="bob")
    assert admin[1].members() == {}
    assert not admin[1].create("stolen", "watch", protected=True, who="ana").archived
    asked = admin[0].add("stolen", [NewEntry("z")], who="ana")
    assert admin[1].approve(asked.id, who="bob").added == 1
    assert AuditLog(open_office()).verify() is None


def test_changes_of_long_lists_are_the_same_as_of_short_ones(office):
    """Thousands of values are looked up and put on in other ways than a few: a plain dictionary says what must be."""
    book = ListStore(office, "shop", lambda *_: None)
    chance, held, number = random.Random(7), {}, count()
    book.create("stolen", who="ana")
    for size in (3000, 5, 2500, 1200, 3):
        values = [f"D{chance.randrange(6000):04d}" for _ in range(size)]
        entries = [NewEntry(value, f"reason {next(number) % 3}") for value in values]
        told, new = book.add("stolen", entries, who="ana"), {each.value: each.reason for each in entries}
        replaced = sum(value in held and held[value] != reason for value, reason in new.items())
        assert (told.added, told.replaced) == (len(new.keys() - held.keys()), replaced)
        held |= new
        gone = {f"D{chance.randrange(6000):04d}" for _ in range(size)}
        assert book.remove("stolen", sorted(gone), who="bob").removed == len(gone & held.keys())
        held = {value: reason for value, reason in held.items() if value not in gone}
        entries, more = book.entries("stolen", limit=10_000)
        assert ({each.value: each.reason for each in entries}, more) == (held, None)
        assert sorted(book.members()["stolen"].values) == sorted(held)
    assert AuditLog(office).verify() is None


def test_of_two_who_approve_at_once_one_does(open_office):
    offices = [open_office(), open_office()]
    admin = [RuleStore(office, "shop", lambda *_: None, four_eyes=True) for office in offices]
    admin[0].add("big", RuleBody(when="amount > 9"), who="ana")
    request = admin[0].promote("big", 1, who="ana")
    assert admin[1].approvals.all("pending") == [request]
    outcomes = []

    def approve(book):
        try:
            outcomes.append(book.approve(request.id, who="bob").state)
        except Conflict:
            outcomes.append("too late")

    all_at_once(*(lambda book=book: approve(book) for book in admin))
    assert sorted(outcomes) == ["active", "too late"]


def test_lists_and_what_waits_for_another_person_are_shared(open_office):
    here, there = (ListStore(open_office(), "shop", lambda *_: None) for _ in range(2))
    here.create("stolen", "block", who="ana")
    here.add("stolen", [NewEntry("D-1", "seen"), NewEntry("D-2", expires_us=1 << 60)], who="ana")
    assert [entry.value for entry in there.entries("stolen", search="D-")[0]] == ["D-1", "D-2"]
    assert list(there.find("D-1")) == ["stolen"]
    here.create("sanctions", "block", protected=True, who="ana")
    asked = here.add("sanctions", [NewEntry("X")], who="ana")
    assert there.approvals.one(asked.id).stage == "pending"
    there.approvals.reject(asked.id, who="bob", why="not him")
    assert here.entries("sanctions")[0] == []


def test_of_many_processes_that_stop_a_trial_one_does(open_office):
    offices = [open_office() for _ in range(3)]
    trials = [ModelTrials(office, "shop") for office in offices]
    begun = trials[0].rollout("v2", champion="v1", percent=10, share_of="k", who="ana")
    stopped = []
    all_at_once(*(lambda each=each: stopped.append(each.stop(begun.id, who="guard", why="blocks")) for each in trials))
    assert sum(map(bool, stopped)) == 1
    assert trials[2].running() == []
    assert AuditLog(offices[1]).verify() is None


def test_what_personal_fields_said_is_shared_and_erased_for_all(open_office):
    here, there = open_office(), open_office()
    vaults = [Vault(office, b"a secret that both processes know") for office in (here, there)]
    all_at_once(*(lambda each=each: each.keep("shop", [("tok_p", f"tok_{n}", f"v{n}") for n in range(20)]) for each in vaults))
    assert vaults[0].values("shop", "tok_p", ["tok_7"]) == vaults[1].values("shop", "tok_p", ["tok_7"]) == {"tok_7": "v7"}
    erased = erase_person(here, vaults[0], "shop", "customer", "C1", "tok_p", who="ana", reason="asked")
    assert erased.values == 20
    assert vaults[1].values("shop", "tok_p", ["tok_7"]) == {}
    assert vaults[1].erasure("shop", "tok_p").who == "ana"
    vaults[1].keep("shop", [("tok_p", "tok_7", "v7")])
    assert vaults[1].values("shop", "tok_p", ["tok_7"]) == {}
    assert AuditLog(there).verify() is None


def test_webhooks_keep_every_event_once_in_order_whoever_adds_and_one_process_delivers(open_office):
    """Several processes add the same and other events at once; each is there once, and numbers have no gaps."""
    clock = count(1_000_000_000_000_000, 1000).__next__
    offices = [open_office() for _ in range(3)]
    endpoints = Endpoints(offices[0], clock=clock)
    endpoint = endpoints.add("https://shop.example/", EndpointChanges(types=["penstock.case.*"]), who="ana")
    outboxes = [Outbox(office, Endpoints(office, clock=clock), clock) for office in offices]

    def add(office, outbox):
        for start in range(0, 40, 4):
            events = [
                Event(id=f"e{n}", type="t", detector=None, subject="s", at_us=n, body=b"{}") for n in range(start, start + 6)
            ]
            with office.write() as transaction:
                outbox.add(transaction, events)

    all_at_once(*(lambda pair=pair: add(*pair) for pair in zip(offices, outboxes, strict=True)))
    stored = outboxes[0].after(0, 1000)
    assert [each.seq for each in stored] == list(range(1, 43))
    assert sorted(each.event.id for each in stored) == sorted(f"e{n}" for n in range(42))
    assert outboxes[1].waiting(endpoint)[0] == 42

    claimed = []
    far_us = 2_000_000_000_000_000
    all_at_once(
        *(
            lambda name=str(n), box=box: claimed.append(name) if box.claim(endpoint, name, far_us) else None
            for n, box in enumerate(outboxes)
        )
    )
    [owner] = claimed
    attempt = Attempt("e1", "t", "s", 1, 1, "delivered", 200, 3, "200 OK")
    assert outboxes[0].settle(endpoint, owner, far_us, Progress(5, 0, None, None, None), [attempt, attempt])
    assert not outboxes[0].settle(endpoint, "another", far_us, Progress(9, 0, None, None, None), [])
    assert [each.n for each in outboxes[2].attempts(endpoint.id, 10)] == [2, 1]
    assert endpoints.get(endpoint.id).reached == 5
    assert endpoints.replay(endpoint.id, who="ana", from_us=40) > 0
    assert endpoints.change(endpoint.id, EndpointChanges(rotate=True, enabled=False), who="ana").previous == endpoint.secret
    failed = Progress(5, 1, 7, 9, "500")
    assert not outboxes[0].settle(endpoints.get(endpoint.id), owner, far_us, failed, [])  # paused
    assert outboxes[0].mark_alerted(endpoint)
    assert not outboxes[1].mark_alerted(endpoint)
    outboxes[0].prune()
    endpoints.remove(endpoint.id, who="ana")
    assert AuditLog(offices[1]).verify() is None


def test_webhooks_announce_each_change_of_a_case_once(open_office):
    offices = [open_office() for _ in range(2)]
    clock = count(system_clock(), 1000).__next__
    cases = Cases(offices[0], clock=clock)
    endpoints = Endpoints(offices[0], clock=clock)
    endpoints.add("https://shop.example/", EndpointChanges(types=["penstock.case.*"]), who="ana")
    outboxes = [Outbox(office, Endpoints(office, clock=clock), clock) for office in offices]
    cases.follow("log", 1, [new(1)])
    case = cases.take_next("ana")
    cases.note(case.id, "ana", "a note")
    cases.decide(case.id, "ana", "fraud")
    all_at_once(*(outbox.follow_audit for outbox in outboxes))
    assert outboxes[0].follow_audit() == 0
    stored = [each.event for each in outboxes[0].after(0, 10)]
    assert [each.type for each in stored] == ["penstock.case.assigned", "penstock.case.decided"]
    assert {(each.detector, each.subject) for each in stored} == {("shop", case.id)}


# ---------------------------------------------------------------- the server


def test_a_server_that_goes_and_comes_back_is_found_again(postgres, postgres_url):
    office = PostgresDatabase(postgres_url)
    office.prepare(NOTES)
    postgres.stop()
    with pytest.raises(LedgerError, match="does not answer") as caught:
        office.read("SELECT 1")
    assert "penstock:" not in str(caught.value), "no password is told"
    postgres.start()
    with office.write() as transaction:
        transaction.run("INSERT INTO notes VALUES ('a', 'x', 1)")
    assert office.read("SELECT id FROM notes") == [("a",)]
    office.close()


def test_what_is_no_url_of_a_database_is_refused_without_telling_it():
    with pytest.raises(ConfigurationError) as caught:
        PostgresDatabase("mysql://u:secret@h/d")
    assert "secret" not in str(caught.value)
