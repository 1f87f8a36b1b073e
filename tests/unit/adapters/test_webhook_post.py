"""Requests to addresses that others choose: only public ones, no redirects, a bounded answer, one time-out for everything."""

import ipaddress
import socket
import ssl
import threading

import pytest
from tests.certificates import Authority
from tests.receiver import receiving

from penstock.adapters import webhook_post
from penstock.adapters.webhook_post import WebhookPost, is_public


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_inside_a_network_are_not_public(text):
    assert not is_public(ipaddress.ip_address(text))


def test_public_addresses_are():
    assert is_public(ipaddress.ip_address("93.184.216.34"))
    assert is_public(ipaddress.ip_address("2606:2800:220:1:248:1893:25c8:1946"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
def test_nothing_is_sent_inside_the_network_unless_allowed(host):
    with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        answer = WebhookPost()(f"http://{host}:{port}", {}, b"{}", 5.0)
        assert answer.status is None
        assert "webhook_private" in answer.detail
        assert not receiver.received


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(webhook_post.socket, "getaddrinfo", lambda *_args, **_options: found)
    assert "10.0.0.1, which is not public" in WebhookPost()("https://shop.example/", {}, b"{}", 5.0).detail


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(monkeypatch):
    with receiving() as receiver:
        port = int(receiver.url.rpartition(":")[2].partition("/")[0])
        asked = []

        def resolve(host, *_args, **_options):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(webhook_post.socket, "getaddrinfo", resolve)
        assert WebhookPost(private=True)("http://shop.example/a?b=1", {}, b"{}", 5.0).status == 204
        assert asked == ["shop.example"]
        assert receiver.requests[0]["Host"] == "shop.example"


def test_over_tls_the_certificate_has_to_be_that_of_the_name_and_of_a_known_authority(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    pair = authority.issue("shop.example")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(pair.cert, pair.key)
    trusting = WebhookPost(private=True, context=ssl.create_default_context(cafile=authority.file))
    with receiving(server) as receiver:
        port = int(receiver.url.rpartition(":")[2].partition("/")[0])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(webhook_post.socket, "getaddrinfo", lambda *_args, **_options: found)
        assert trusting("https://shop.example/", {}, b"{}", 30.0).status == 204
        assert "CERTIFICATE_VERIFY_FAILED" in trusting("https://other.example/", {}, b"{}", 30.0).detail
        assert "CERTIFICATE_VERIFY_FAILED" in WebhookPost(private=True)("https://shop.example/", {}, b"{}", 30.0).detail
        assert len(receiver.received) == 1


def test_a_redirect_is_not_followed():
    with receiving() as receiver:
        receiver.answer, receiver.headers = lambda *_: 307, {"Location": receiver.url}
        assert WebhookPost(private=True)(receiver.url, {}, b"{}", 5.0).status == 307
        assert len(receiver.received) == 1


def test_the_pause_that_the_receiver_asks_for_is_returned():
    with receiving() as receiver:
        receiver.answer, receiver.headers = lambda *_: 429, {"Retry-After": "120"}
        assert WebhookPost(private=True)(receiver.url, {}, b"{}", 5.0).wait_s == 120.0


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\nfine", 202, "202 Accepted"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000, None, "the head of its answer is longer"),
        (b"SSH-2.0-server\r\n\r\n", None, "does not speak HTTP"),
        (b"", None, "closed the connection without an answer"),
        (b"HTTP/1.1 2", None, "closed the connection without an answer"),
    ],
)
def test_whatever_the_other_side_says_is_an_answer(said, status, detail):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        answer = WebhookPost(private=True)(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}", 30.0)
        thread.join()
    assert (answer.status, detail in answer.detail) == (status, True), answer


def test_an_answer_that_drips_ends_with_the_time_out():
    """A byte now and then resets no time-out."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not ended.wait(0.02):
                    try:
                        connection.sendall(b"a: b\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        answer = WebhookPost(private=True)(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}", 0.3)
        ended.set()
        thread.join()
    assert answer == (None, "127.0.0.1 does not answer within 0.3 s", 0.0)


def test_nobody_there_is_an_answer_too():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answer = WebhookPost(private=True)(f"http://127.0.0.1:{port}/", {}, b"{}", 5.0)
    assert answer.status is None
    assert "does not answer" in answer.detail
