"""What people change decides, is recorded with every decision, and is there again when one is verified or replayed."""

from datetime import UTC, datetime

import msgspec
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule, replay
from penstock.config import Settings
from penstock.database import open_office
from penstock.engine import verify
from penstock.errors import DataError, DeclarationError, NotFound
from penstock.governance.administration import RuleAdministration, RuleSource
from penstock.governance.lists import NewEntry
from penstock.governance.rules import RuleBody
from penstock.ledger import FileLedger
from penstock.wiring.governance import list_at, open_rule_administration, with_stored_rules

START_US = 1_767_607_200_000_000  # 2026-01-05 10:00 UTC
SECOND_US = 1_000_000


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    device_id: str | None = None
    card: str | None = None


customer = Entity("customer_id")


def declared(**options):
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h")],
        lists={"stolen": ["D0"], **options.pop("lists", {})},
        rules=[Rule("stolen_device", "device_id IN list('stolen')", then="block", hard=True), *options.pop("rules", [])],
        policy=Policy(),
        **options,
    )


def payment(number, device, seconds=0, **more):
    at = datetime.fromtimestamp(START_US / 1e6 + seconds, UTC)
    return Payment(f"t{number}", at, "c", device, **more)


class Clock:
    us = START_US

    def __call__(self):
        return self.us


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def office(tmp_path):
    with open_office(tmp_path) as database:
        yield database


@pytest.fixture
def world(office, tmp_path, clock):
    """Books, and an engine that follows them: `follow()` lets it look."""
    admin = RuleAdministration(office, declared(), clock=clock)
    engine = Engine(admin.detector, data=tmp_path, clock=clock)
    newer = RuleSource(admin.rules, admin.lists, admin.detector).newer
    seen = [0]

    def follow():
        found = newer(seen[0])
        if found is not None:
            seen[0] = found.revision
            engine.use_rules(found.rules, found.lists)
        return found is not None

    follow()
    yield admin, engine, follow
    engine.close()


def test_an_entry_decides_from_the_next_look_on_and_every_decision_names_the_list(world):
    admin, engine, follow = world
    assert engine.decide(payment(0, "D0")).decision == "BLOCK"
    first = engine.decide(payment(1, "D1"))
    admin.put("stolen", [NewEntry("D1")], who="ann")
    assert follow()
    second = engine.decide(payment(2, "D1"))
    assert (first.decision, second.decision) == ("APPROVE", "BLOCK")
    assert first.versions.rules == second.versions.rules
    assert first.versions.detector == second.versions.detector
    assert (first.versions.lists[:9], second.versions.lists[:9]) == ("stolen 2-", "stolen 3-")
    assert not follow()


def test_an_entry_ends_with_its_expiry_without_any_change(world, clock):
    admin, engine, follow = world
    admin.put("stolen", [NewEntry("D1", "", START_US + 60 * SECOND_US)], who="ann")
    follow()
    before = engine.decide(payment(1, "D1"))
    clock.us += 60 * SECOND_US
    after = engine.decide(payment(2, "D1"))
    assert (before.decision, after.decision) == ("BLOCK", "APPROVE")
    assert before.versions == after.versions


def test_a_rule_that_cannot_be_told_for_want_of_a_value_does_not_fire(world):
    _, engine, _ = world
    assert engine.decide(payment(1, None)).decision == "APPROVE"


def test_a_decision_by_changed_rules_and_lists_is_verified_after_both_have_changed_again(world, tmp_path, clock):
    admin, engine, follow = world
    admin.put("stolen", [NewEntry("D1", "", START_US + 60 * SECOND_US)], who="ann")
    admin.rules.add("second", RuleBody(when="customer_count_1h >= 2", then="review"), who="ann")
    admin.rules.promote("second", 1, who="bob")
    follow()
    decided = [engine.decide(payment(number, device)).decision for number, device in enumerate(["D1", "D2"])]
    assert decided == ["BLOCK", "REVIEW"]
    admin.lists.remove("stolen", ["D0", "D1"], who="bob")
    admin.rules.archive("second", who="bob")
    follow()
    assert engine.decide(payment(9, "D1")).decision == "APPROVE"
    engine.close()
    clock.us += 3600 * SECOND_US
    settings = Settings(data=tmp_path)
    ledger = FileLedger(tmp_path / "ledger")
    try:
        for transaction in ("t0", "t1", "t9"):
            found = verify(ledger, admin.detector, transaction, None, list_at=list_at(admin.detector, settings))
            assert found.identical, found.differences
        with pytest.raises(DataError, match=r"version 3-.* of the list 'stolen'"):
            verify(ledger, admin.detector, "t0", None)
    finally:
        ledger.close()


def test_a_list_that_was_exported_is_in_a_replay_what_it_was_when_each_event_arrived(world, clock, tmp_path):
    admin, engine, follow = world
    events, decided = [], []
    for number, change in enumerate(
        [
            lambda: None,
            lambda: admin.put("stolen", [NewEntry("D1")], who="ann"),
            lambda: admin.lists.remove("stolen", ["D1"], who="ann"),
            lambda: admin.put("stolen", [NewEntry("D1", "", START_US + 35 * SECOND_US)], who="ann"),
            lambda: None,
        ]
    ):
        clock.us = START_US + number * 10 * SECOND_US
        change()
        follow()
        events.append(payment(number, "D1", 10 * number))
        decided.append(engine.decide(events[-1]).decision)
    assert decided == ["APPROVE", "BLOCK", "APPROVE", "BLOCK", "APPROVE"]
    file = tmp_path / "stolen.csv"
    file.write_text(admin.export_list("stolen"))
    recorded = tmp_path / "events.ndjson"
    recorded.write_text("\n".join(msgspec.json.encode(event).decode() for event in events))
    frame = replay(declared(lists={"stolen": file}), recorded)
    assert frame["decision"].to_list() == decided


def test_a_list_that_nobody_declares_is_an_error_that_names_the_remedy():
    with pytest.raises(DeclarationError, match=r"no list 'vip'.*Known: stolen"):
        declared(rules=[Rule("vip", "customer_id IN list('vip')", then="allow")])
    for given, said in (("none.csv", "cannot be read"), ([""], "1 to 500 characters"), ([1], "values as texts")):
        with pytest.raises(DeclarationError, match=said):
            declared(lists={"vip": given})


def test_values_of_a_personal_field_are_compared_as_tokens(office, tmp_path, clock):
    detector = declared(personal=["card"], lists={"cards": []}, rules=[Rule("card", "card IN list('cards')", then="block")])
    key = b"0123456789abcdef"
    (tmp_path / "key").write_bytes(key)
    settings = Settings(data=tmp_path / "shop", personal_key_file=tmp_path / "key")
    with (
        open_rule_administration(detector, settings) as admin,
        Engine(detector, personal_key=key, clock=clock) as engine,
    ):
        admin.create_list("hot", "block", "", personal=True, protected=False, who="ann")
        admin.put("hot", [NewEntry("4711")], who="ann")
        admin.rules.add("hot", RuleBody(when="card IN list('hot')", then="block"), who="ann")
        admin.rules.promote("hot", 1, who="ann")
        now = admin.now()
        engine.use_rules(now.rules, now.lists)
        assert engine.decide(payment(1, "D1", card="4711")).decision == "BLOCK"
        assert engine.decide(payment(2, "D1", card="4712")).decision == "APPROVE"


def test_a_trial_knows_what_people_changed_and_writes_nothing(world, tmp_path):
    admin, _, _ = world
    settings = Settings(data=tmp_path)
    admin.rules.add("any", RuleBody(when="customer_count_1h > 0", then="review"), who="ann")
    admin.rules.promote("any", 1, who="ann")
    admin.put("stolen", [NewEntry("D7")], who="ann")
    before = admin.rules.revision()
    candidate = declared(rules=[Rule("other", "customer_count_1h > 5")])
    assert [rule.name for rule in with_stored_rules(candidate, settings).rules] == ["stolen_device", "any"]
    own = with_stored_rules(candidate, settings, rules=False)
    assert [rule.name for rule in own.rules] == ["stolen_device", "other"]
    assert set(own.lists["stolen"].values) == {"D0", "D7"}
    assert admin.rules.revision() == before
    assert with_stored_rules(candidate, Settings(data=tmp_path / "empty")) is candidate


def test_a_condition_is_looked_at_beside_what_acts_and_not_beside_itself(world):
    admin, _, _ = world
    admin.rules.add("many", RuleBody(when="customer_count_1h > 3", then="block"), who="ann")
    admin.rules.promote("many", 1, who="ann")
    assert [f.kind for f in admin.check("x", RuleBody(when="customer_count_1h > 5")).findings] == ["never_reached"]
    assert admin.check("many", RuleBody(when="customer_count_1h > 5")).findings == []
    checked = admin.check("x", RuleBody(when="device_id in list('stolen') and customer_id is not null"))
    assert (checked.lists, checked.reads) == (["stolen"], ("device_id", "customer_id"))
    with pytest.raises(NotFound, match="has no version 4"):
        admin.body("many", 4)


def test_imports_add_what_is_new_and_name_the_line_that_is_wrong(world):
    admin, _, _ = world
    lines = [*admin.export(), '{"name": "large", "body": {"when": "customer_count_1h > 9"}}']
    assert [version.name for version in admin.import_("\n".join(lines), "file", who="ann")] == ["large"]
    assert admin.import_("\n".join(lines), "file", who="ann") == []
    with pytest.raises(DataError, match="file, line 2"):
        admin.import_("\nnonsense", "file", who="ann")
    with pytest.raises(DataError, match=r"devices\.csv, line 2: expires_at"):
        admin.import_list("stolen", "value,expires_at\nD1,soon\n", "devices.csv", who="ann")
