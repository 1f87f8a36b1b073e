"""Posts webhooks to addresses that others have chosen, without letting them choose one inside the network.

The name is resolved once, each of its addresses has to be public (unless private ones are allowed), and the connection goes
to the address that was checked, so a name that resolves differently a moment later changes nothing. Redirects are not
followed, proxies of the environment are not used, an answer is read up to a few kilobytes, and a time-out covers all of it.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from penstock.webhooks.delivery import Answer

_MOST_ANSWERED = 16_384
_SHOWN = 200
_TRANSLATED = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]
"""Addresses of IPv6 that stand for one of IPv4, which may be private."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebhookPost:
    """Sends requests; see `penstock.webhooks.delivery.Post`.

    private: whether addresses that are not public are allowed. context: of TLS; the machine's authorities unless given.
    """

    def __init__(self, *, private: bool = False, context: ssl.SSLContext | None = None) -> None:
        self._private = private
        self._context = context or ssl.create_default_context()

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        """Post; every failure of the other side is an answer without a status."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        deadline = time.monotonic() + timeout_s
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            with connected(host, port, deadline, private=self._private) as plain:
                if parts.scheme != "https":
                    return _exchanged(plain, _request(url, headers, body), deadline)
                with self._context.wrap_socket(plain, server_hostname=host) as secured:
                    return _exchanged(secured, _request(url, headers, body), deadline)
        except NotPublic as error:
            return Answer(None, str(error))
        except TimeoutError:
            return Answer(None, f"{host} does not answer within {timeout_s:g} s")
        except (OSError, ValueError, http.client.HTTPException) as error:
            return Answer(None, f"{host} does not answer: {error or type(error).__name__}")


def connected(host: str, port: int, deadline: float, *, private: bool) -> socket.socket:
    """A connection to a checked address of the host, made before the deadline of the monotonic clock.

    private: whether addresses that are not public are allowed.

    Raises:
        NotPublic: the host has an address that is not.
        OSError: it does not answer.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not private:
        for *_, place in found:
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
            if not is_public(address):
                raise NotPublic(f"{host} is {address}, which is not public; the setting webhook_private allows it")
    trouble: OSError = OSError("it has no address")
    for family, kind, protocol, _, place in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left_s(deadline))
            connection.connect(place)
        except OSError as error:
            connection.close()
            trouble = error
        else:
            return connection
    raise trouble


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("93.184.216.34", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1")]
    [True, False, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class NotPublic(Exception):
    """The host has an address that is not public."""


def _request(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    fixed = {"Host": host, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (fixed | dict(headers)).items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _exchanged(connection: socket.socket, request: bytes, deadline: float) -> Answer:
    """Send a request and read the head of the answer, and of its body what has come with it."""
    connection.settimeout(_left_s(deadline))
    connection.sendall(request)
    received = b""
    while b"\r\n\r\n" not in (received := _without_interim(received)):
        if len(received) > _MOST_ANSWERED:
            raise http.client.HTTPException(f"the head of its answer is longer than {_MOST_ANSWERED} bytes")
        connection.settimeout(_left_s(deadline))
        more = connection.recv(4096)
        if not more:
            raise http.client.HTTPException("it closed the connection without an answer")
        received += more
    return _answer(received)


def _without_interim(received: bytes) -> bytes:
    """Without the complete answers of status 1xx before the real one."""
    while received.startswith(b"HTTP/1.") and received[8:10] == b" 1" and b"\r\n\r\n" in received:
        received = received.partition(b"\r\n\r\n")[2]
    return received


def _answer(received: bytes) -> Answer:
    line, _, rest = received.partition(b"\r\n")
    version, _, status = line.decode("latin-1").partition(" ")
    if not version.startswith("HTTP/1.") or not status[:3].isdecimal() or len(status) < 3:
        raise http.client.HTTPException("it does not speak HTTP")
    fields = http.client.parse_headers(io.BytesIO(rest))
    asked = fields.get("Retry-After", "").strip()
    wait_s = float(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0.0
    excerpt = "".join(c if c.isprintable() else " " for c in rest.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")[:_SHOWN])
    return Answer(int(status[:3]), f"{status.strip()[:_SHOWN]}: {excerpt}" if excerpt else status.strip()[:_SHOWN], wait_s)


def _left_s(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
