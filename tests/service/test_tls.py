"""The service over TLS: what is spoken, who is let in, and that everything is as without it."""

import contextlib
import json
import re
import socket
import ssl
import threading
from types import SimpleNamespace

import pytest
from tests.certificates import Authority
from tests.service import patient
from tests.waiting import wait_until
from websockets.sync.client import connect as open_socket

from penstock.adapters.http import ServiceAddress, Unreachable
from penstock.adapters.load import fetch, measure
from penstock.adapters.traffic import Item, send
from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.service import MicroBatcher, create_app
from penstock.tls import server_context


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An authority, a certificate for the service, one for a client, and one that another authority signed."""
    folder = tmp_path_factory.mktemp("tls")
    authority, stranger = Authority(folder), Authority(folder / "else", "stranger")
    return SimpleNamespace(
        authority=authority.file,
        service=authority.issue("service"),
        client=authority.issue("client"),
        foreign=stranger.issue("foreign"),
    )


@pytest.fixture
def secured(engine, serve_in_thread, made):
    """`with secured(tls_client_ca=...) as (url, app)`: the service with a certificate, and with these settings."""

    @contextlib.contextmanager
    def serving(**more):
        settings = Settings(tls_cert=made.service.cert, tls_key=made.service.key, **more)
        app = create_app({"fake": MicroBatcher.of(engine, settings)}, settings)
        with serve_in_thread(app, settings) as url:
            yield url, app

    return serving


@pytest.fixture
def trusting(made, monkeypatch):
    """What commands trust, by the variable that OpenSSL knows."""
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))


def test_acceptors_speak_tls_for_the_service_and_ask_for_certificates(secured, made, engine, payment):
    body = payment(1)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with secured(acceptors=2, tls_client_ca=made.authority) as (url, _):
        with shaken(url, context_of(made, made.client)) as known:
            for request in (head + body, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"):
                known.sendall(request)
                assert received(known)[0] == 200
        with (
            contextlib.suppress(OSError),
            shaken(url, context_of(made)) as unknown,
        ):
            unknown.sendall(head + body)
            assert unknown.recv(1) == b""
    assert len(engine.batches) == 1


def context_of(made, pair=None):
    context = ssl.create_default_context(cafile=made.authority)
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def shaken(url, context):
    """A socket after its handshake."""
    host, port = url.removeprefix("https://").split(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=60), server_hostname=host)


def received(sock):
    """One answer: status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    while len(body) < length:
        body += sock.recv(65_536)
    return int(head[9:12]), body


def post(body):
    return b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


# ---------------------------------------------------------------- what is spoken


def test_tls_1_3_is_spoken_and_the_hot_route_keeps_its_connection(secured, made, payment, monkeypatch):
    with secured() as (url, app), shaken(url, context_of(made)) as sock:
        monkeypatch.setattr(app, "app", None)  # the hot route needs no application
        assert (url[:8], sock.version(), sock.selected_alpn_protocol()) == ("https://", "TLSv1.3", None)
        for number in range(3):
            sock.sendall(post(payment(number)))
            status, body = received(sock)
            assert (status, json.loads(body)["transaction_id"]) == (200, f"tx{number}")


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(secured, made, payment):
    """TLS 1.3 lets a client send at once; here both leave in one segment."""
    with secured() as (url, _), socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60) as raw:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context_of(made).wrap_bio(into, out, server_hostname="127.0.0.1")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(out.read())
                into.write(raw.recv(65_536))
        tls.write(post(payment(1)))
        raw.sendall(out.read())
        data = b""
        while b'"transaction_id":"tx1"' not in data:
            into.write(raw.recv(65_536))
            try:
                data += tls.read(65_536)
            except ssl.SSLWantReadError:
                continue
    assert data.startswith(b"HTTP/1.1 200 ")


def test_tls_1_2_is_spoken_with_those_who_know_no_more_and_nothing_older(secured, made):
    with secured() as (url, app):
        context = context_of(made)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with shaken(url, context) as sock:
            assert sock.version() == "TLSv1.2"
        old = context_of(made)
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shaken(url, old)
        wait_until(lambda: app.rejected["tls_handshake"] == 1)


def test_live_messages_come_over_tls_too(secured, made, payment):
    with secured() as (url, _):
        context = context_of(made)
        with open_socket(url.replace("https", "wss") + "/ws/live", ssl=context) as live:
            patient.post(url + "/predict", content=payment(1), verify=context)
            for message in live:
                if "tx1" in message:
                    break


def test_a_request_that_is_refused_while_it_is_sent_gets_its_answer(secured, made):
    head = b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Length: 99999999\r\n\r\n"
    with secured(max_body_bytes=2048) as (url, _), shaken(url, context_of(made)) as sock:
        sock.sendall(head)
        for _ in range(50):
            sock.sendall(b"x" * 100_000)  # it is read on, or this would end in a reset
        assert received(sock)[0] == 413


def test_a_service_with_tls_speaks_no_plain_http_and_serves_the_next_client(secured, made, payment):
    with secured() as (url, app):
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: p\r\n\r\n")
            assert b"HTTP" not in plain.recv(65_536)
        wait_until(lambda: app.rejected["tls_handshake"] == 1)
        assert patient.post(url + "/predict", content=payment(1), verify=context_of(made)).status_code == 200


# ---------------------------------------------------------------- who is let in


@pytest.mark.parametrize("whose", [None, "foreign"])
def test_a_client_without_an_acceptable_certificate_is_refused_in_the_handshake(secured, made, whose, engine, payment):
    with secured(tls_client_ca=made.authority) as (url, app):
        refused = context_of(made, whose and getattr(made, whose))
        with contextlib.suppress(ssl.SSLError, ConnectionError), shaken(url, refused) as sock:
            sock.sendall(post(payment(1)))  # in TLS 1.3 a client hears of it when it reads
            assert sock.recv(65_536) == b""
        wait_until(lambda: app.rejected["tls_handshake"] == 1)
        assert engine.batches == []
        with shaken(url, context_of(made, made.client)) as sock:
            sock.sendall(post(payment(2)))
            assert received(sock)[0] == 200


def test_handshakes_that_say_nothing_end_and_are_bounded(secured, made, payment, monkeypatch):
    monkeypatch.setattr("penstock.service.http.tls.MOST_LINGERING", 1)
    with secured(head_timeout_s=0.5, max_connections=2) as (url, app):
        place = "127.0.0.1", int(url.rpartition(":")[2])
        silent = [socket.create_connection(place, timeout=60) for _ in range(6)]
        wait_until(lambda: app.rejected["connections"] == 3)
        wait_until(lambda: app.rejected["tls_handshake"] == 3)
        assert [sock.recv(1) for sock in silent[:3]] == [b""] * 3
        assert patient.post(url + "/predict", content=payment(1), verify=context_of(made)).status_code == 200
        for sock in silent:
            sock.close()


def test_a_connection_beyond_the_limit_is_answered_503(secured, made):
    with secured(max_connections=1) as (url, _), shaken(url, context_of(made)), shaken(url, context_of(made)) as second:
        assert received(second)[0] == 503


def test_a_stop_waits_for_answers_and_not_for_idle_connections(secured, made, engine, payment):
    answers = []
    with secured() as (url, _):
        idle = shaken(url, context_of(made))
        engine.hold()
        ask = lambda: answers.append(patient.post(url + "/predict", content=payment(1), verify=context_of(made)))  # noqa: E731
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: engine.batches)
        threading.Timer(0.3, engine.release).start()
    asking.join()
    idle.close()
    assert answers[0].json()["transaction_id"] == "tx1"


# ---------------------------------------------------------------- commands that call a service


def test_commands_call_a_service_over_tls(secured, made, payment, trusting):
    own = Settings(tls_cert=made.client.cert, tls_key=made.client.key)
    with secured(tls_client_ca=made.authority) as (url, _):
        address = ServiceAddress.of(url, own)
        assert fetch(address, "/ready")[0] == 200
        assert send(address, [Item("/predict", payment(number)) for number in range(3)]).accepted == 3
        from penstock.adapters.http import request

        measured = measure(address, lambda n: request(address, "POST", "/predict", payment(n)), requests=50, concurrency=4)
        assert (measured.requests, measured.errors) == (50, 0)
        with pytest.raises(Unreachable, match="--tls-cert"):
            fetch(ServiceAddress.of(url), "/ready")


def test_a_service_that_nobody_vouches_for_is_not_spoken_to(secured, made):
    with secured() as (url, _), pytest.raises(Unreachable, match=r"certificate of https://.* is not accepted.*SSL_CERT_FILE"):
        fetch(ServiceAddress.of(url), "/ready")


def test_plain_http_where_tls_was_expected_is_said(engine, serve_in_thread, trusting):
    app = create_app({"fake": MicroBatcher.of(engine, Settings())}, Settings())
    with serve_in_thread(app) as url, pytest.raises(Unreachable, match="does it speak plain HTTP"):
        fetch(ServiceAddress.of(url.replace("http:", "https:")), "/ready")


# ---------------------------------------------------------------- files that cannot be used


def test_files_that_cannot_be_used_are_named_with_a_remedy(made, tmp_path):
    def said(**settings):
        with pytest.raises(ConfigurationError) as error:
            server_context(Settings(**settings))
        return str(error.value)

    cert, key = made.service
    missing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    locked = tmp_path / "locked.pem"
    locked.write_bytes(_encrypted(key))
    assert f"tls_cert = {missing} cannot be read: No such file" in said(tls_cert=missing, tls_key=key)
    assert f"tls_key = {missing} cannot be read: No such file" in said(tls_cert=cert, tls_key=missing)
    assert f"tls_key = {made.client.key} is not the private key of the certificate in tls_cert = {cert}" in said(
        tls_cert=cert, tls_key=made.client.key
    )
    assert f"tls_cert = {text} holds no certificate in PEM form" in said(tls_cert=text, tls_key=key)
    assert f"tls_key = {text} holds no usable private key" in said(tls_cert=cert, tls_key=text)
    assert f"tls_cert = {cert} holds no usable private key in PEM form; tls_key names its file" in said(tls_cert=cert)
    assert f"tls_key = {locked} is protected by a passphrase" in said(tls_cert=cert, tls_key=locked)
    assert f"tls_client_ca = {text} holds no certificate" in said(tls_cert=cert, tls_key=key, tls_client_ca=text)
    assert f"tls_client_ca = {missing} cannot be read" in said(tls_cert=cert, tls_key=key, tls_client_ca=missing)
    assert "name its file in tls_cert" in said(tls_key=key)
    assert "name its file in tls_cert" in said(tls_client_ca=made.authority)


def _encrypted(key):
    from cryptography.hazmat.primitives import serialization

    kept = serialization.load_pem_private_key(key.read_bytes(), None)
    return kept.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )


def test_one_file_may_hold_certificate_and_key(made, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(made.service.cert.read_bytes() + made.service.key.read_bytes())
    assert server_context(Settings(tls_cert=both)) is not None
