"""Webhooks and e-mail against servers of this machine: what is sent, signed and tried again, and what never is."""

import contextlib
import json
import socket
import ssl
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from penstock.adapters.mail import Mail
from penstock.adapters.webhook import Slack, Webhook, signature
from penstock.alerts import Alert, DeliveryQueue, Undelivered, sample
from penstock.errors import ConfigurationError
from penstock.ledger.sqlite import SqliteTables

ALERT = Alert(
    key="banking:burst:7",
    rule="burst",
    detector="banking",
    severity="critical",
    at="2026-01-05T10:00:00Z",
    text="a <b>large</b> payment & more\nfrom *here*",
    transaction_id="t7",
    decision="BLOCK",
    fraud_probability=0.97,
    reasons=["900 is 9 times the usual 100"],
    about={"customer_id": "C1"},
    values={"amount": 900.0},
    suppressed=1234,
)


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted, and answers what it is told to, the last answer for ever."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that did not wait is no news."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [200]
        self.headers = {}
        self.got = []
        self.wait = threading.Event()
        self.wait.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?x=1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers, body))
        self.server.wait.wait(60)
        status = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"said so")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.wait.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tables():
    made = SqliteTables()
    yield made
    made.close()


def test_a_signed_webhook_carries_the_alert_its_key_and_a_signature_that_can_be_checked(receiver):
    said = Webhook(name="soc", url=receiver.url, secret="hidden", headers={"Authorization": "Bearer x"}).send(ALERT)
    [(path, headers, body)] = receiver.got
    assert (said, path) == ("200 OK", "/hook?x=1")
    assert headers["Idempotency-Key"] == "banking:burst:7"
    assert headers["Penstock-Signature"] == signature("hidden", headers["Penstock-Timestamp"], body)
    assert headers["Penstock-Signature"] != signature("guessed", headers["Penstock-Timestamp"], body)
    assert headers["Penstock-Signature"] != signature("hidden", headers["Penstock-Timestamp"], body + b" ")
    assert headers["Authorization"] == "Bearer x"
    told = json.loads(body)
    assert (told["text"], told["about"], told["suppressed"]) == (ALERT.text, {"customer_id": "C1"}, 1234)


def test_a_webhook_without_a_secret_is_not_signed(receiver):
    Webhook(name="open", url=receiver.url).send(ALERT)
    assert "Penstock-Signature" not in receiver.got[0][1]


def test_slack_reads_one_text_and_no_field_can_write_mark_up_into_it(receiver):
    Slack(name="ops", url=receiver.url).send(ALERT)
    told = json.loads(receiver.got[0][2])
    assert list(told) == ["text"]
    assert told["text"].startswith("*[critical] banking: a &lt;b&gt;large&lt;/b&gt; payment &amp; more from ")
    assert told["text"].count("*") == 2
    assert "• 900 is 9 times the usual 100\ntransaction `t7`" in told["text"]


FORGED = (
    "pay\r\n\u2028\N{BULLET} all is well\x1b[2J <!channel> @everyone <https://evil.example|here>"
    " [here](//evil.example) www.evil.example mailto:a@evil.example \u202etxt"
)


def test_values_write_no_lines_bullets_links_or_mentions_into_a_message():
    alert = msgspec.structs.replace(
        ALERT, text=FORGED, reasons=[FORGED], transaction_id=FORGED, about={FORGED: FORGED}, values={"x": FORGED}
    )
    slack = json.loads(Slack(name="ops", url="http://127.0.0.1").body(alert))["text"]
    assert slack.count("\n") == 2
    assert slack.count("\N{BULLET}") == 1
    mail = Mail(name="ops", host="localhost", sender="a@b.example", receivers=["c@d.example"]).message(alert)
    told = mail.get_content()
    assert len(told.splitlines()) == 11
    for text in (slack, told, str(mail["Subject"])):
        for forbidden in ("://", "](", "www.", "mailto:", "\x1b", "\r", "\u2028", "\u202e"):
            assert forbidden not in text, (forbidden, text)
    assert "<!" not in slack
    assert "@" not in slack


@pytest.mark.parametrize(
    ("status", "again"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (301, False), (410, False)],
)
def test_what_is_tried_again_depends_on_the_answer(receiver, status, again):
    receiver.answers = [status]
    receiver.headers = {"Retry-After": "7", "Location": "http://127.0.0.1:1/"}
    with pytest.raises(Undelivered, match=f"answered {status}") as caught:
        Webhook(name="soc", url=receiver.url).send(ALERT)
    assert (caught.value.again, caught.value.wait_s) == (again, 7.0)


def test_a_webhook_that_fails_and_recovers_gets_the_same_key_until_it_takes_the_alert(receiver, tables):
    receiver.answers = [500, 503, 200]
    courier = DeliveryQueue(Webhook(name="soc", url=receiver.url), tables, first_wait_s=0.01)
    courier.post(ALERT)
    while not tables.deliveries(outcome="delivered"):
        threading.Event().wait(0.01)
    courier.close()
    assert [headers["Idempotency-Key"] for _, headers, _ in receiver.got] == [ALERT.key] * 3
    assert tables.deliveries()[0].attempts == 3


def test_a_server_that_does_not_answer_in_time_is_tried_again(receiver):
    receiver.wait.clear()
    with pytest.raises(Undelivered, match="does not answer") as caught:
        Webhook(name="slow", url=receiver.url, timeout_s=0.1).send(ALERT)
    assert caught.value.again


def test_nobody_at_the_address_is_tried_again():
    with unheard() as port, pytest.raises(Undelivered, match=r"127\.0\.0\.1 does not answer") as caught:
        Webhook(name="gone", url=f"http://127.0.0.1:{port}/secret-path").send(ALERT)
    assert caught.value.again
    assert "secret-path" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x/y", "hooks.example", "file:///etc/passwd", "https://"])
def test_a_url_that_cannot_be_posted_to_is_refused_at_once(url):
    with pytest.raises(ConfigurationError, match="https://HOST/PATH"):
        Webhook(name="x", url=url)


# ---------------------------------------------------------------- e-mail


class Mailbox:
    """Keeps messages; refuses receivers at nowhere.example for good, and those at later.example for now."""

    def __init__(self):
        self.messages = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.endswith("@nowhere.example"):
            return "550 there is nobody here"
        if address.endswith("@later.example"):
            return "450 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(
            (envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default))
        )
        return "250 taken"


class Server(Controller):
    """A mail server at a port that the system chooses, and that nobody else can take meanwhile."""

    def __init__(self, box, **options):
        self.listening = socket.create_server(("127.0.0.1", 0))
        super().__init__(box, hostname="127.0.0.1", port=self.listening.getsockname()[1], ready_timeout=60, **options)

    def _create_server(self):
        return self.loop.create_server(self._factory_invoker, sock=self.listening)


@pytest.fixture
def mailbox():
    box = Mailbox()
    controller = Server(box)
    controller.start()
    box.port = controller.port
    yield box
    controller.stop()


@contextlib.contextmanager
def unheard():
    """A port that is taken while the block runs, and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def mail(box, *to, **options):
    options = {"tls": "none", **options}
    return Mail(name="mail", host="127.0.0.1", port=box.port, sender="penstock@example.org", receivers=[*to], **options)


def test_a_message_says_everything_that_there_is_to_know(mailbox):
    said = mail(mailbox, "a@example.org", "b@example.org").send(ALERT)
    [(sender, receivers, message)] = mailbox.messages
    assert (said, sender, receivers) == (
        "taken for a@example.org, b@example.org",
        "penstock@example.org",
        ["a@example.org", "b@example.org"],
    )
    assert message["Subject"].startswith("[critical] banking: a <b>large</b> payment & more from *here* (1,234 similar")
    assert message["Message-ID"] == "<banking.burst.7@penstock>"
    assert message["Date"].startswith("Mon, 05 Jan 2026 10:00:00")
    text = message.get_content()
    assert "- 900 is 9 times the usual 100" in text
    assert "transaction: t7" in text
    assert "customer_id: C1" in text


def test_receivers_who_are_refused_do_not_keep_it_from_the_others(mailbox):
    said = mail(mailbox, "a@example.org", "x@nowhere.example").send(ALERT)
    assert said == "taken for a@example.org; refused: x@nowhere.example (550 there is nobody here)"


@pytest.mark.parametrize(("to", "again"), [(["x@nowhere.example"], False), (["x@nowhere.example", "y@later.example"], True)])
def test_a_message_that_nobody_takes_is_tried_again_where_that_may_help(mailbox, to, again):
    with pytest.raises(Undelivered, match="nobody was accepted") as caught:
        mail(mailbox, *to).send(ALERT)
    assert caught.value.again is again


def test_a_server_without_starttls_is_not_written_to_where_that_was_asked_for(mailbox):
    with pytest.raises(Undelivered, match="STARTTLS"):
        mail(mailbox, "a@example.org", tls="starttls").send(ALERT)
    assert mailbox.messages == []


def test_a_mail_server_that_is_away_is_tried_again():
    box = Mailbox()
    with unheard() as box.port, pytest.raises(Undelivered, match="does not answer") as caught:
        mail(box, "a@example.org").send(ALERT)
    assert caught.value.again


def test_login_goes_over_starttls_and_a_wrong_password_is_not_tried_again(certificate, monkeypatch):
    box = Mailbox()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def check(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"pass")
        return AuthResult(success=right, handled=False)

    controller = Server(box, tls_context=context, authenticator=check, auth_required=True)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    trusting.check_hostname = False
    monkeypatch.setattr("penstock.adapters.mail.ssl.create_default_context", lambda: trusting)
    controller.start()
    try:
        box.port = controller.port
        assert "taken" in mail(box, "a@example.org", tls="starttls", user="me", password="pass").send(ALERT)
        with pytest.raises(Undelivered, match="535") as caught:
            mail(box, "a@example.org", tls="starttls", user="me", password="guess").send(ALERT)
        assert not caught.value.again
    finally:
        controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    import shutil
    import subprocess

    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate for this test")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048", "-x509"]
    subprocess.run(["openssl", "req", *subject, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize(("sender", "to"), [("nobody", ["a@b"]), ("a@b", []), ("a@b", ["c@d\nBcc: e@f"])])
def test_addresses_that_are_none_are_refused_at_once(sender, to):
    with pytest.raises(ConfigurationError, match="channel 'm'"):
        Mail(name="m", host="h", sender=sender, receivers=to)


def test_a_sample_says_that_it_is_one():
    assert "nothing happened" in sample("test", "2026-01-05T10:00:00Z", "k").text
