"""Personal fields over HTTP: no route shows them to who may not see them, and nothing shows them once they are erased."""

import asyncio
import contextlib
import json
from datetime import datetime
from types import SimpleNamespace

import msgspec
import pytest
import websockets
from tests.service import patient

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.audit import AuditLog
from penstock.cases.attachments import attach
from penstock.cases.policy import CasePolicy
from penstock.cases.queues import Filter, page
from penstock.cases.store import Cases
from penstock.cli import run as penstock
from penstock.config import Settings
from penstock.database import open_office
from penstock.engine import verify
from penstock.governance.lists import NewEntry
from penstock.identity.keys import Keys
from penstock.identity.roles import ROLES, Right
from penstock.ingest import PREFIX, masked_event
from penstock.ledger import Quarantined
from penstock.privacy.vault import Vault
from penstock.privacy.vault_writer import VaultWriter
from penstock.service import MicroBatcher, TrafficSender, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.service.records.personal import ERASED, HIDDEN, NOT_KEPT, Unmasking
from penstock.service.routes import TABLE
from penstock.stream.cases import CaseSink
from penstock.webhooks.delivery import Answer, Webhooks
from penstock.webhooks.endpoints import EndpointChanges
from penstock.wiring.governance import rule_administration, trial_work

CARD, EMAIL = "4111-7731-MARKED-0042", "marked.person@example.org"
MARKS = [CARD, EMAIL]
SECRET = b"a secret of thirty-two bytes, ok"
SHOWING = {
    "/transactions/{transaction_id:path}",
    "/cases/{case_id}",
    "/context/{transaction_id:path}",
    "/entities/{entity}/{key:path}/ring",
}
NOTE = "called her at the office, she is Marked Person"


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    card: str | None = None
    email: str | None = None


def shop():
    customer, card = Entity("customer_id"), Entity("card")
    return Detector(
        name="shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=[customer.count("1h"), card.count("1d"), customer.last("card").named("card_before")],
        rules=[Rule("large", "amount > 100", then="review", reason="{amount} with {card}, after {card_before}")],
        policy=Policy(),
        personal=["card", "email"],
        cases=CasePolicy(grouped=False),
    )


def payment(number, **more):
    fields = {
        "transaction_id": f"t{number}",
        "timestamp": f"2026-02-06T10:00:{number:02}Z",
        "customer_id": "C1",
        "amount": 500.0,
        "card": CARD,
        "email": EMAIL,
    }
    return json.dumps(fields | more).encode()


@pytest.fixture
def place(tmp_path):
    """An office, a vault and an engine over one data folder, with two payments of C1 and one of C2, each a case."""
    (tmp_path / "personal.key").write_bytes(SECRET)
    with open_office(tmp_path) as office:
        vault = Vault(office, SECRET)
        keeping = VaultWriter(vault)
        engine = Engine(shop(), data=tmp_path, personal_key=SECRET, on_personal=lambda said: keeping.enqueue("shop", said))
        engine.decide_json([payment(1), payment(2), payment(3, customer_id="C2", email=None), b'{"card": "' + CARD.encode()])
        engine.ledger.flush()
        keeping.close()
        cases = Cases(office)
        sink = CaseSink(cases, "log", lambda _name: engine, sample=0.0)
        sink.write(list(engine.ledger.read()))
        found = SimpleNamespace(office=office, vault=vault, engine=engine, cases=cases, folder=tmp_path)
        yield found
        engine.close()


@pytest.fixture
def guarded(place, client_for):
    """A client of the service over it: `async with guarded() as client`."""

    @contextlib.asynccontextmanager
    async def open_client():
        settings = Settings(data=place.folder)
        access = Access(place.office, settings, exposed=False)
        traffic = TrafficSender("shop", iter(()), 1.0, attacks={"x": lambda: None})
        traffic.example = payment(9)
        personal = Unmasking(place.office, place.vault)
        admin = rule_administration(place.office, place.engine.detector, settings)
        admin.create_list("stolen", "block", "cards", personal=True, protected=False, who="test")
        admin.lists.add("stolen", [NewEntry(CARD)], who="test")
        options = {"access": access, "traffic": traffic, "cases": place.cases, "personal": personal}
        options |= {"administrations": {"shop": admin}, "trials": trial_work(place.office, [place.engine.detector], settings)}
        async with client_for(place.engine, settings=settings, **options) as client:
            yield client

    return open_client


def keys(place, *roles):
    return {"authorization": f"Bearer {Keys(place.office).add('program', roles, who='test')[0]}"}


def case_id(place):
    [(found,)] = place.office.read("SELECT id FROM cases WHERE transaction_id = 't1'")
    return found


def addresses(place):
    """What is asked of every route that the table has, so that there is something to be found."""
    token = place.engine.personal.key("card", CARD)
    filled = {
        "{case_id}": case_id(place),
        "{name}": "shop",
        "{transaction_id:path}": "t1",
        "{entity}": "card",
        "{key:path}": token,
        "{list_name}": "stolen",
        "{rule}": "large",
        "{version}": "1",
        "{trial}": "model",
        "{request_id}": "a1",
    }
    bodies = {"/detectors/{name}/backtest": {"condition": "amount > 1", "days": 3650, "when": "amount > 1"}}
    for method, path in TABLE:
        if method == "WS" or path in {"/live", "/session"}:
            continue
        asked = path
        for part, value in filled.items():
            asked = asked.replace(part, value)
        yield method, path, asked, bodies.get(path, {})


@pytest.mark.parametrize("role", [None, *ROLES])
def test_no_route_tells_a_personal_value_to_who_may_not_see_it(run, place, guarded, role):
    headers = keys(place, role) if role else {}
    keys(place, "viewer")
    may = role is not None and Right.PERSONAL in ROLES[role]
    told = set()

    async def scene():
        async with guarded() as client:
            for method, path, asked, body in addresses(place):
                if path.endswith("/erasures"):
                    continue
                sent = {"json": body} if method == "POST" else {}
                answer = await client.request(method, asked, headers=headers, **sent)
                seen = answer.content + repr(answer.headers).encode()
                assert answer.headers.get_list("x-content-type-options") == ["nosniff"], path
                if any(mark.encode() in seen for mark in MARKS):
                    told.add(path)
                    assert answer.headers["cache-control"] == "no-store", path
            for path in (f"/transactions?entity=card&key={CARD}&limit=5", "/transactions?limit=10", "/results/recent?k=10"):
                answer = await client.get(path, headers=headers)
                assert not any(mark.encode() in answer.content for mark in MARKS), path

    run(scene(), 90)
    assert told == (SHOWING if may else set())


def test_an_erasure_finds_refused_events_that_name_the_person_or_hold_what_nobody_may_keep(run, place, guarded):
    administrator, tables = keys(place, "administrator"), place.engine.ledger.tables
    kept = masked_event(
        b'{"transaction_id": "t9", "customer_id": "C9", "card": "4111", "amount": "x"}', place.engine.detector.schema
    )
    bodies = [b"{'card': '%s'}" % CARD.encode(), b'{"customer_id": "C1", "amount": "x"}', b'{"customer_id": "C10"}', kept]
    tables.quarantine([Quarantined("shop", 1, "amount is no number", None, body) for body in bodies])

    async def scene():
        async with guarded() as client:
            erased = await client.post(
                "/detectors/shop/erasures", json={"entity": "customer", "key": "C1"}, headers=administrator
            )
            assert erased.status_code == 200, erased.text
            after = [event.body for event in reversed(tables.quarantined("shop"))]
            assert (after[-2:], set(bodies[:2]) & set(after)) == (bodies[2:], set())

    run(scene())


def test_masks_stand_where_values_are_hidden_and_tell_that_there_is_one(run, place, guarded):
    viewer, analyst = keys(place, "viewer"), keys(place, "analyst")

    async def scene():
        async with guarded() as client:
            hidden = (await client.get("/transactions/t1", headers=viewer)).json()
            shown = (await client.get("/transactions/t1", headers=analyst)).json()
            assert hidden["personal"] == {"fields": {"card": HIDDEN, "email": HIDDEN}, "erased": None}
            assert shown["personal"] == {"fields": {"card": CARD, "email": EMAIL}, "erased": None}
            assert shown["explanation"]["reasons"][0]["text"].count(PREFIX) == 1, "reasons have tokens, for everybody"
            assert (await client.get("/transactions/t3", headers=analyst)).json()["personal"]["fields"] == {
                "card": CARD,
                "email": None,
            }
            case = (await client.get(f"/cases/{case_id(place)}", headers=analyst)).json()
            assert case["personal"]["fields"]["email"] == EMAIL
            setup = (await client.get("/live/setup", headers=viewer)).json()
            assert "personal" in json.dumps(setup["detectors"]["shop"]["samples"])

    run(scene())


def test_who_may_see_a_value_may_ask_by_it_and_nobody_else_can_find_out_by_trying(run, place, guarded):
    viewer, analyst = keys(place, "viewer"), keys(place, "analyst")

    async def scene():
        async with guarded() as client:
            found = await client.get(f"/entities/card/{CARD}", headers=analyst)
            assert found.json()["key"].startswith(PREFIX)
            by_key = await client.get("/transactions", params={"entity": "card", "key": CARD}, headers=analyst)
            assert len(by_key.json()["transactions"]) == 3
            assert len((await client.get(f"/cases?entity=card&key={CARD}", headers=analyst)).json()["cases"]) == 3
            profile = await client.get(f"/users/{CARD}/risk-profile?entity=card", headers=analyst)
            assert profile.json()["key"].startswith(PREFIX)
            assert (await client.get(f"/entities/card/{CARD}", headers=viewer)).status_code == 404
            none = await client.get("/transactions", params={"entity": "card", "key": CARD}, headers=viewer)
            assert none.json()["transactions"] == []

    run(scene())


def test_nobody_finds_out_by_way_of_lists_what_a_token_stands_for_but_who_fills_them(run, place, guarded):
    token = place.engine.personal.key("card", CARD)

    async def scene():
        async with guarded() as client:
            for role, tries in (("viewer", False), ("approver", False), ("rule_author", True), ("analyst", True)):
                headers = keys(place, role)
                await client.app.access.refresh()
                found = await client.get("/detectors/shop/lists/lookup", params={"value": CARD}, headers=headers)
                listed = await client.get("/detectors/shop/lists/stolen/entries", params={"search": CARD}, headers=headers)
                assert (token in found.text) is tries, (role, found.text)
                assert (token in listed.text) is tries, (role, listed.text)
                by_token = await client.get("/detectors/shop/lists/lookup", params={"value": token}, headers=headers)
                assert token in by_token.text

    run(scene())


def test_live_pages_and_sockets_tell_no_personal_value_to_anybody(place, serve_in_thread, run):
    settings = Settings(data=place.folder)
    secret = Keys(place.office).add("program", ["administrator", "decider"], who="test")[0]
    access = Access(place.office, settings, exposed=False)
    app = create_app(
        {"shop": MicroBatcher.of(place.engine, settings)}, settings, ServiceParts(access=access, cases=place.cases)
    )
    headers = {"authorization": f"Bearer {secret}"}

    async def messages(url):
        async with websockets.connect(url.replace("http", "ws") + "/ws/live", additional_headers=headers) as socket:
            await asyncio.to_thread(patient.post, url + "/predict", content=payment(20), headers=headers)
            told = ""
            while '"t20"' not in told:
                told += await asyncio.wait_for(socket.recv(), 60)
            return told + await asyncio.wait_for(socket.recv(), 60)

    with serve_in_thread(app) as url:
        told = run(messages(url), 90)
        with patient.stream("GET", url + "/live", headers=headers) as stream:
            lines = stream.iter_lines()
            told += "".join(next(lines) for _ in range(6))
    assert '"t20"' in told
    assert not any(mark in told for mark in MARKS)


def test_nothing_in_the_data_folder_holds_a_personal_value(place):
    place.cases.note(case_id(place), "ana", "nothing personal")
    place.engine.close()
    files = [path for path in place.folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        assert not any(mark.encode() in content for mark in MARKS), path


# ---------------------------------------------------------------- erasing


def test_one_person_is_erased_and_everything_else_stays(run, place, guarded):
    analyst, administrator = keys(place, "analyst"), keys(place, "administrator")
    place.cases.note(case_id(place), "ana", NOTE)
    attach(place.cases, case_id(place), "ana", f"{NOTE}.txt", NOTE.encode())
    assert any(NOTE in str(entry.details) for entry in AuditLog(place.office).entries())

    async def scene():
        async with guarded() as client:
            before = (await client.get("/transactions/t1", headers=analyst)).json()
            asked = {"entity": "customer", "key": "C1", "reason": "asked for it"}
            assert (await client.post("/detectors/shop/erasures", json=asked, headers=analyst)).status_code == 403
            done = await client.post("/detectors/shop/erasures", json=asked, headers=administrator)
            assert done.status_code == 200, done.text
            assert (done.json()["values"], done.json()["cases"], done.json()["erased_by"]) == (2, 1, "key:program")
            again = await client.post("/detectors/shop/erasures", json=asked, headers=administrator)
            assert (again.json()["values"], again.json()["erased_at"]) == (0, done.json()["erased_at"])
            after = (await client.get("/transactions/t1", headers=analyst)).json()
            assert after["personal"]["fields"] == {"card": ERASED, "email": ERASED}
            assert after["personal"]["erased"] == {"at": done.json()["erased_at"], "by": "key:program"}
            assert {**after, "personal": 0} == {**before, "personal": 0}
            other = (await client.get("/transactions/t3", headers=analyst)).json()
            assert other["personal"]["fields"]["card"] == CARD, "another person with the same card"
            case = await client.get(f"/cases/{case_id(place)}", headers=analyst)
            assert NOTE not in case.text
            assert "[erased]" in case.text
            assert case.json()["attachments"] == []
            assert verify(place.engine.ledger, place.engine.detector, "t1", None).identical, "it can be computed again"

    run(scene())
    log = AuditLog(place.office)
    assert log.verify() is None, "the chain is whole"
    entry = log.entries(action="personal.erase")[0]
    assert entry.details == {"entity": "customer", "reason": "asked for it", "values": 2}
    dump = "\n".join(place.office.connection.iterdump())
    assert not any(text in dump for text in [*MARKS, NOTE])


def test_who_was_erased_stays_so_when_they_come_back(place):
    whose = place.engine.personal.whose("customer", "C1")
    with place.office.write() as transaction:
        place.vault.erase(transaction, "shop", whose.person, who="ana", details={})
    place.vault.keep("shop", [(whose.person, "tok_new", "another card")])
    assert place.vault.values("shop", whose.person, ["tok_new"]) == {}


def test_a_copy_of_the_values_from_before_is_unreadable_once_the_key_is_gone(place):
    whose = place.engine.personal.whose("customer", "C1")
    copied = place.office.read("SELECT detector, person, token, sealed FROM vault_values")
    [(sealed,)] = place.office.read("SELECT sealed_key FROM vault_people WHERE person = :p", {"p": whose.person})
    tokens = [row[2] for row in copied]
    assert set(place.vault.values("shop", whose.person, tokens).values()) == set(MARKS)
    with place.office.write() as transaction:
        place.vault.erase(transaction, "shop", whose.person, who="ana", details={})
        for detector, person, token, value in copied:
            transaction.run(
                "INSERT INTO vault_values VALUES (:d, :p, :t, :v) ON CONFLICT DO NOTHING",
                {"d": detector, "p": person, "t": token, "v": value},
            )
    assert place.vault.values("shop", whose.person, tokens) == {}
    place.office.scrub("vault_people")
    files = [path.read_bytes() for path in place.folder.glob("office.sqlite*")]
    assert files
    assert not any(sealed.encode() in content for content in files), "the key is in no free page and in no log"


def test_a_value_opens_with_no_other_secret_and_in_nobody_elses_place(place):
    mine, other = (place.engine.personal.whose("customer", key).person for key in ("C1", "C2"))
    email = place.engine.personal.of("t1").tokens["email"]
    assert place.vault.values("shop", mine, [email]) == {email: EMAIL}
    assert Vault(place.office, b"another secret of enough bytes").values("shop", mine, [email]) == {}
    with place.office.write() as transaction:
        moved = {"mine": mine, "other": other, "token": email}
        transaction.run("UPDATE vault_values SET person = :other WHERE person = :mine AND token = :token", moved)
    assert place.vault.values("shop", other, [email]) == {}


def test_without_a_vault_nothing_is_kept_and_the_answer_says_so(run, place, client_for):
    async def scene():
        async with client_for(place.engine, settings=Settings()) as client:
            found = (await client.get("/transactions/t1")).json()
            assert found["personal"]["fields"] == {"card": NOT_KEPT, "email": NOT_KEPT}
            asked = {"entity": "customer", "key": "C1"}
            assert (await client.post("/detectors/shop/erasures", json=asked)).status_code == 422

    run(scene())


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"entity": "customer", "key": "nobody"}, 404),
        ({"entity": "card", "key": CARD}, 422),
        ({"entity": "nothing", "key": "C1"}, 422),
        ({"entity": "customer"}, 422),
        ({"entity": "customer", "key": "C1", "why": "x"}, 422),
        ([], 422),
    ],
)
def test_what_cannot_be_erased_is_refused_with_the_reason(run, place, guarded, asked, status):
    headers = keys(place, "administrator")

    async def scene():
        async with guarded() as client:
            answer = await client.post("/detectors/shop/erasures", json=asked, headers=headers)
            assert answer.status_code == status, answer.text
            assert place.vault.erasure("shop", place.engine.personal.whose("customer", "C1").person) is None

    run(scene())


def test_a_dry_run_and_a_refused_event_are_not_kept(place):
    kept = []
    engine = Engine(shop(), personal_key=SECRET, on_personal=kept.extend)
    engine.decide_json([payment(1)], dry_run=True)
    engine.decide_json([payment(2, amount="much"), payment(3, timestamp="never")])
    assert kept == []
    engine.decide_json([payment(4), payment(5), payment(4)])
    assert sorted(value for _, _, value in kept) == sorted(MARKS), "each value once"
    engine.decide_json([payment(6, card=None, customer_id="C9")])
    assert [value for _, _, value in kept[2:]] == [EMAIL], "for each person"


def test_the_command_line_erases_and_verify_says_so(place, tmp_path, capsys, monkeypatch):
    place.engine.close()
    source = tmp_path / "shop.py"
    source.write_text(DETECTOR)
    where = ["--data", str(place.folder)]
    assert penstock(["verify", "t1", "--detector", str(source), *where]) == 0
    assert "erased" not in capsys.readouterr().out
    assert penstock(["erase", str(source), "customer", "C1", "--reason", "asked for it", *where]) == 0
    said = capsys.readouterr()
    assert "2 values of personal fields" in said.out
    assert penstock(["verify", "t1", "--detector", str(source), *where]) == 0
    said = capsys.readouterr().out
    assert "is identical" in said
    assert "was erased at" in said
    assert "by local" in said
    assert penstock(["verify", "t3", "--detector", str(source), *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["erased"] is None
    assert penstock(["explain", "t2", "--detector", str(source), *where]) == 0
    assert "was erased at" in capsys.readouterr().out
    assert penstock(["audit", "verify", *where]) == 0
    assert penstock(["erase", str(source), "customer", "C7", *where]) == 1


DETECTOR = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Policy, Rule

class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float
    card: str | None = None
    email: str | None = None

customer, card = Entity("customer_id"), Entity("card")
detector = Detector(name="shop", event=Payment, id="transaction_id", time="timestamp",
    features=[customer.count("1h"), card.count("1d"), customer.last("card").named("card_before")],
    rules=[Rule("large", "amount > 100", then="review", reason="{amount} with {card}, after {card_before}")],
    policy=Policy(), personal=["card", "email"])
"""


def test_webhooks_carry_tokens(place):
    webhooks = Webhooks(place.office, lambda *_: Answer(200, "200 OK"))
    webhooks.endpoints.add("https://shop.example/", EndpointChanges(), who="test")
    cases = Cases(place.office)
    sink = CaseSink(cases, "another", lambda _name: place.engine, sample=0.0, webhooks=webhooks)
    sink.write(list(place.engine.ledger.read()))
    [case, *_] = page(cases, Filter())[0]
    cases.decide(case.id, "ana", "fraud", note=NOTE)
    while webhooks.outbox.follow_audit():
        pass
    bodies = [stored.event.body.decode() for stored in webhooks.outbox.after(0, 100)]
    assert len(bodies) == 4  # the decisions and the verdict; the cases were opened before
    assert not any(mark in body for body in bodies for mark in [*MARKS, NOTE])
