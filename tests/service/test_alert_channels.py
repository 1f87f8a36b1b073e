"""Channels of alerts, set up over HTTP: in force without a restart, kept over one, never shown with their secrets."""

import contextlib
import socket

import pytest
from aiosmtpd.controller import Controller
from tests.receiver import receiving
from tests.service import patient
from tests.waiting import wait_until

from penstock.alerts import Alert
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.identity.keys import Keys
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.service_parts import served_parts

NOW = "2026-01-05T10:00:00Z"
RULES = """
[[alerts]]
name = "each"
when = "amount > 0"
cooldown = "0s"
limit = 10000
"""


@pytest.fixture
def serve(mine, tmp_path, serve_in_thread):
    """A service that raises an alert for each payment; `rules`: the file of alerts, None for no such setting."""

    @contextlib.contextmanager
    def serving(rules=RULES, guarded=False, private=True, deliver=True):
        alerts = None
        if rules is not None:
            alerts = tmp_path / "alerts.toml"
            alerts.write_text(rules)
        settings = Settings(data=tmp_path / "data", alerts=alerts, webhook_private=private, deliver=deliver)
        with served_parts({"mine": mine}, settings) as parts:
            batchers = {name: MicroBatcher(name, opener, settings) for name, opener in parts.openers.items()}
            office = parts.operating.office
            for raising in (parts.alerting, parts.trials):
                raising.listen(lambda name, body: batchers[name].feed.alert(body))
            access = Access(office, settings, exposed=False) if guarded else None
            inside = ServiceParts(access=access, operating=parts.operating)
            with serve_in_thread(create_app(batchers, settings, inside)) as url, patient.Client(base_url=url) as client:
                wait_until(lambda: client.get("/ready").status_code == 200)
                client.office, client.parts = office, parts
                yield client

    return serving


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def done(response, status=200):
    assert response.status_code == status, response.text
    return response.json()


def pay(client, number):
    payment = {"transaction_id": f"t{number}", "timestamp": NOW, "customer_id": "c1", "amount": 10.0}
    done(client.post("/predict", json=payment))


def add(client, name, **given):
    return done(client.post("/alerts/channels", json={"name": name, "severity": "info", **given}), 201)


def in_use(client, *names):
    """Wait until alerts go to these channels."""
    wait_until(lambda: {each["name"] for each in client.get("/alerts/deliveries").json()["channels"]} == {*names})


def transactions(receiver):
    return [alert["transaction_id"] for alert in receiver.taken if alert["rule"] == "each"]


def test_a_channel_is_added_changed_paused_resumed_and_removed_while_the_service_runs(serve, receiver):
    receiver.secret = "whsec_bm90IGEgc2VjcmV0"
    with serve() as client:
        made = add(client, "soc", kind="webhook", url=receiver.url, secret=receiver.secret)
        assert made.items() >= {"source": "page", "state": "active", "secrets": ["secret"], "created_by": "local"}.items()
        in_use(client, "soc")
        pay(client, 1)
        wait_until(lambda: transactions(receiver) == ["t1"])
        assert not receiver.forged
        assert done(client.patch("/alerts/channels/soc", json={"enabled": False}))["state"] == "paused"
        in_use(client)
        pay(client, 2)
        wait_until(lambda: client.get("/alerts").json()["alerts"][0]["transaction_id"] == "t2")
        assert done(client.patch("/alerts/channels/soc", json={"enabled": True, "secret": ""}))["secrets"] == []
        in_use(client, "soc")
        pay(client, 3)
        wait_until(lambda: transactions(receiver) == ["t1", "t3"])
        assert "webhook-signature" not in {name.lower() for name in receiver.requests[-1]}
        done(client.patch("/alerts/channels/soc", json={"severity": "critical"}))
        wait_until(lambda: client.get("/alerts/deliveries").json()["channels"][0]["severity"] == "critical")
        pay(client, 4)
        wait_until(lambda: client.get("/alerts").json()["alerts"][0]["transaction_id"] == "t4")
        assert done(client.delete("/alerts/channels/soc")) == {"name": "soc"}
        in_use(client)
        assert transactions(receiver) == ["t1", "t3"]
        for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/test")):
            body = {"json": {"enabled": True}} if method == "PATCH" else {}
            assert client.request(method, f"/alerts/channels/soc{path}", **body).status_code == 404


def test_a_corrected_address_gets_what_waits_at_once_and_a_restart_keeps_the_channel(serve, receiver):
    receiver.answer = lambda *_: 500
    with serve() as client:
        add(client, "soc", kind="webhook", url=receiver.url)
        in_use(client, "soc")
        pay(client, 1)
        wait_until(lambda: len(receiver.received) >= 3)  # the next attempt is seconds away, and later ones minutes
    with serve() as client:
        in_use(client, "soc")
        [part] = [each for each in client.get("/operations/health").json()["parts"] if each["name"] == "alerts: soc"]
        assert part["status"] in {"ok", "degraded"}
        with receiving() as other:
            done(client.patch("/alerts/channels/soc", json={"url": other.url}))
            wait_until(lambda: transactions(other) == ["t1"])
            pay(client, 2)
            wait_until(lambda: transactions(other) == ["t1", "t2"])


def test_a_service_that_delivers_nothing_keeps_what_is_for_a_channel(serve, receiver):
    with serve(deliver=False) as client:
        add(client, "soc", kind="webhook", url=receiver.url)
        in_use(client, "soc")
        pay(client, 1)
        wait_until(lambda: client.get("/alerts/deliveries").json()["channels"][0]["waiting"] == 1)
        assert client.post("/alerts/channels/soc/test").status_code == 409
        assert receiver.received == []
    with serve():
        wait_until(lambda: transactions(receiver) == ["t1"])


def test_a_sample_is_sent_through_a_channel_of_the_page_and_of_the_file(serve, receiver):
    with serve(RULES + f"[channels.ops]\nkind = 'slack'\nurl = '{receiver.url}?token=hidden'\n") as client:
        add(client, "soc", kind="webhook", url=receiver.url, enabled=False)
        assert done(client.post("/alerts/channels/soc/test")) == {"delivered": True, "detail": "204 No Content"}
        assert receiver.taken[-1]["rule"] == "test"
        assert done(client.post("/alerts/channels/ops/test"))["delivered"]
        assert list(receiver.taken[-1]) == ["text"]
        receiver.answer = lambda *_: 404
        answer = done(client.post("/alerts/channels/soc/test"))
        assert (answer["delivered"], answer["detail"]) == (False, "answered 404 Not Found")


def test_channels_of_the_file_are_listed_and_cannot_be_changed_here(serve, receiver):
    with serve(RULES + f"[channels.ops]\nkind = 'slack'\nurl = '{receiver.url}?token=hidden'\n") as client:
        found = done(client.get("/alerts/channels"))
        assert (found["rules"], found["delivered_by"]) == ("configured", "service")
        [channel] = found["channels"]
        shown = {"name": "ops", "source": "file", "state": "active", "severity": "info", "url": None, "secrets": ["url"]}
        assert channel.items() >= shown.items()
        refused = client.post("/alerts/channels", json={"name": "ops", "kind": "webhook", "url": receiver.url})
        assert refused.status_code == 409
        assert client.delete("/alerts/channels/ops").status_code == 404


def test_a_channel_of_the_file_goes_before_one_of_the_same_name(serve, receiver):
    with serve() as client, receiving() as other:
        add(client, "ops", kind="webhook", url=other.url)
    with serve(RULES + f"[channels.ops]\nkind = 'webhook'\nurl = '{receiver.url}'\n") as client:
        states = [(each["source"], each["state"]) for each in done(client.get("/alerts/channels"))["channels"]]
        assert states == [("file", "active"), ("page", "overridden")]
        in_use(client, "ops")
        pay(client, 1)
        wait_until(lambda: transactions(receiver) == ["t1"])


def pay_much(client, customer):
    """A payment of a customer, and one of a hundred thousand times as much, which is blocked."""
    for number, amount in enumerate((10.0, 1e6)):
        payment = {"transaction_id": f"{customer}-{number}", "timestamp": NOW, "customer_id": customer, "amount": amount}
        decided = done(client.post("/predict", json=payment))
    assert decided["decision"] == "BLOCK"


def status_of_alerts(client):
    [part] = [each for each in client.get("/operations/health").json()["parts"] if each["name"] == "alerts"]
    return part["status"]


def test_without_rules_the_first_channel_has_the_default_ones_in_force_also_after_a_restart(serve, receiver):
    with serve(None) as client:
        found = done(client.get("/alerts/channels"))
        assert (found["rules"], found["delivered_by"], status_of_alerts(client)) == ("defaults", "nobody", "absent")
        add(client, "soc", kind="webhook", url=receiver.url)
        wait_until(lambda: status_of_alerts(client) == "ok")
        assert done(client.get("/alerts/channels"))["delivered_by"] == "service"
    with serve(None) as client:
        wait_until(lambda: status_of_alerts(client) == "ok")
        pay_much(client, "c1")
        wait_until(lambda: [alert["rule"] for alert in receiver.taken] == ["large_block"])


def test_without_rules_what_was_before_the_first_channel_raises_nothing(serve, receiver):
    with serve(None) as client:
        pay_much(client, "c1")
        add(client, "soc", kind="webhook", url=receiver.url)
        wait_until(lambda: status_of_alerts(client) == "ok")
        alert = Alert(key="guard:1", rule="guard", detector="mine", severity="critical", at=NOW, text="x")
        client.parts.trials.announce(alert)
        wait_until(lambda: receiver.taken)
        assert [alert["rule"] for alert in receiver.taken] == ["guard"]


SECRETS = ("T0secret", "signing-secret", "pass-word")
CHANNELS = (
    {"name": "chat", "kind": "slack", "url": "https://hooks.slack.com/services/T0secret"},
    {"name": "soc", "kind": "webhook", "url": "https://soc.example/x?token=T0secret", "secret": "signing-secret"},
    {
        "name": "mail",
        "kind": "email",
        "host": "smtp.example.org",
        "user": "me",
        "password": "pass-word",
        "from": "a@example.org",
        "to": ["b@example.org"],
    },
)


def test_no_answer_and_no_entry_of_the_audit_log_shows_a_secret(serve):
    with serve() as client:
        answers = [client.post("/alerts/channels", json=channel) for channel in CHANNELS]
        answers += [client.patch(f"/alerts/channels/{each['name']}", json={"severity": "info"}) for each in CHANNELS]
        wrong = {"name": "bad", "kind": "slack", "url": "htps://hooks.slack.com/services/T0secret"}
        answers += [client.post("/alerts/channels", json=wrong)]
        answers += [client.get(path) for path in ("/alerts/channels", "/alerts/deliveries", "/audit", "/operations/health")]
        answers += [client.delete(f"/alerts/channels/{each['name']}") for each in CHANNELS]
        assert [each.status_code for each in answers] == [201] * 3 + [200] * 3 + [422] + [200] * 7
        entries = AuditLog(client.office).entries(action="alert_channels")
        assert [each.action.removeprefix("alert_channels.") for each in entries] == ["remove"] * 3 + ["change"] * 3 + [
            "add"
        ] * 3
        assert [each.details.get("secrets") for each in entries][::-1] == [["url"], ["secret"], ["password"], *[None] * 6]
        shown = "".join(each.text for each in answers) + str(entries)
        assert "soc.example/x" in shown
        assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "webhook", "url": "gopher://x/"}, "url"),
        ({"kind": "slack"}, "url"),
        ({"kind": "webhook", "url": "https://x.example/", "host": "x"}, None),
        ({"kind": "email", "host": "h", "from": "a@b"}, "to"),
        ({"kind": "webhook", "url": "https://x.example/", "timeout_s": 61}, "timeout_s"),
        ({"name": "no/slash", "kind": "webhook", "url": "https://x.example/"}, "name"),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_by_field(serve, given, field):
    with serve() as client:
        problem = done(client.post("/alerts/channels", json={"name": "x", **given}), 422)
        assert problem["errors"][0]["field"] == field


def test_a_stored_password_goes_to_no_other_server(serve):
    with serve() as client:
        done(client.post("/alerts/channels", json=CHANNELS[2]), 201)
        for change in ({"host": "evil.example"}, {"port": 25}, {"tls": "none"}, {"user": "you"}):
            problem = done(client.patch("/alerts/channels/mail", json=change), 422)
            assert problem["errors"][0]["field"] == "password"
        done(client.patch("/alerts/channels/mail", json={"host": "other.example", "password": "new"}))
        done(client.patch("/alerts/channels/mail", json={"host": "other.example", "port": 587, "to": ["c@example.org"]}))


def test_addresses_inside_the_network_are_not_written_to_unless_allowed(serve, receiver):
    mail = {"kind": "email", "host": "127.0.0.1", "from": "a@example.org", "to": ["b@example.org"], "tls": "none"}
    port = int(receiver.url.split(":")[2].partition("/")[0])
    with serve(private=False) as client:
        refused = client.post("/alerts/channels", json={"name": "soc", "kind": "webhook", "url": receiver.url})
        assert (refused.status_code, "webhook_private" in refused.text) == (422, True)
        add(client, "soc", kind="webhook", url=receiver.url.replace("http:", "https:"))
        add(client, "mail", port=port, **mail)
        for name in ("soc", "mail"):
            answer = done(client.post(f"/alerts/channels/{name}/test"))
            assert (answer["delivered"], "not public" in answer["detail"]) == (False, True)
    assert receiver.received == []


class Mailbox(Controller):
    """A mail server that keeps what it gets."""

    def __init__(self):
        self.letters = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        super().__init__(self, hostname="127.0.0.1", port=self.listening.getsockname()[1], ready_timeout=60)

    def _create_server(self):
        return self.loop.create_server(self._factory_invoker, sock=self.listening)

    async def handle_DATA(self, server, session, envelope):
        self.letters.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 taken"


def test_alerts_arrive_by_mail(serve):
    box = Mailbox()
    box.start()
    try:
        with serve() as client:
            settings = {"host": "127.0.0.1", "port": box.port, "tls": "none", "from": "a@example.org", "to": ["b@example.org"]}
            add(client, "mail", kind="email", **settings)
            in_use(client, "mail")
            pay(client, 1)
            wait_until(lambda: box.letters)
            [(to, text)] = box.letters
            assert (to, "transaction: t1" in text) == (["b@example.org"], True)
    finally:
        box.stop()


def test_administrators_change_channels_and_operators_see_and_test_them(serve, receiver):
    with serve(RULES + f"[channels.ops]\nkind = 'webhook'\nurl = '{receiver.url}'\n", guarded=True) as client:
        keys = Keys(client.office)
        admin, _ = keys.add("admin", ["administrator"], who="test")
        operator, _ = keys.add("operator", ["operator"], who="test")
        other, _ = keys.add("other", ["analyst", "decider", "rule_author", "approver", "viewer"], who="test")
        wait_until(lambda: client.get("/alerts/channels").status_code == 401)
        for key in (admin, operator, other):
            wait_until(lambda key=key: client.get("/alerts/channels", headers={"X-API-Key": key}).status_code != 401)
        body = {"name": "soc", "kind": "webhook", "url": receiver.url}
        for key, statuses in ((operator, [403, 200, 403, 200, 403]), (other, [403] * 5), (admin, [201, 200, 200, 200, 200])):
            asked = (
                ("POST", "/alerts/channels", body),
                ("GET", "/alerts/channels", None),
                ("PATCH", "/alerts/channels/soc", {"enabled": True}),
                ("POST", "/alerts/channels/ops/test", None),
                ("DELETE", "/alerts/channels/soc", None),
            )
            found = [client.request(m, p, json=b, headers={"X-API-Key": key}).status_code for m, p, b in asked]
            assert found == statuses
