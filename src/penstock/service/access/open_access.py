"""Protection of a service with open access: refuses other hosts, other sites' pages, and creating the first key or user
without the setup token.

Every page that a browser shows can send requests to any address that the browser reaches, including this machine's own.
"""

import contextlib
import ipaddress
import secrets
from collections.abc import Iterator, MutableMapping
from typing import Any

from penstock.config import Settings
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import is_own

SETUP_TOKEN = b"x-setup-token"
"""The header that carries the one-time setup token."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})

_MOST_REMEMBERED = 100
_Scope = MutableMapping[str, Any]


class OpenAccess:
    """Guards an open service. token: creates the first key or user over HTTP, once."""

    def __init__(self, settings: Settings) -> None:
        self.token = secrets.token_urlsafe(16)
        names = [settings.host, *(settings.allowed_hosts or "").split(",")]
        self._names = {host_name(name) for name in names if name.strip()}
        self._allowed: set[bytes] = set()
        self._making = False

    def check(self, scope: _Scope) -> None:
        """Refuse requests from neither a program on this machine nor a page of this service.

        Raises:
            RequestRefused: 421 unknown host (DNS rebinding), 403 a changing request from another site's page.
        """
        hosts, origins = [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value.decode("latin-1"))
        for host in hosts:
            if host not in self._allowed:
                self._check_host(host)
        if origins and scope.get("method") not in READING and not is_own(origins, b",".join(hosts).decode("latin-1")):
            detail = "a page from elsewhere asks; while nobody needs a key, only pages of this service may change something"
            raise RequestRefused(403, detail, reason="origin")

    def _check_host(self, host: bytes) -> None:
        name = host_name(host.decode("latin-1"))
        if name not in self._names and not _is_loopback(name):
            detail = f"this open service does not answer as {name[:100]!r}; add it to allowed_hosts, or make a key or a user"
            raise RequestRefused(421, detail, reason="host")
        if len(self._allowed) < _MOST_REMEMBERED:
            self._allowed.add(host)

    @contextlib.contextmanager
    def making_first(self, scope: _Scope) -> Iterator[None]:
        """Guard the creation of the first key or user; one request at a time.

        Raises:
            RequestRefused: 403, the token is missing or wrong; 409, another request is showing it.
        """
        given = next((value for name, value in scope["headers"] if name == SETUP_TOKEN), b"")
        if not secrets.compare_digest(given, self.token.encode()):
            detail = (
                "the first key or user needs the setup token, which the service printed when it started, as the header"
                " X-Setup-Token; `penstock keys add` and `penstock users add` need none"
            )
            raise RequestRefused(403, detail)
        if self._making:
            raise RequestRefused(409, "another request is making the first key or user with this token")
        self._making = True
        try:
            yield
        finally:
            self._making = False


def host_name(host: str) -> str:
    """The name in a Host header, without the port.

    >>> host_name("LOCALHOST.:8000"), host_name("[::1]:8000"), host_name("fraud.example")
    ('localhost', '::1', 'fraud.example')
    """
    text = host.strip()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return name.lower().removesuffix(".")


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
