"""Authentication and authorization of every request, before a route or the hot path runs."""

import asyncio
import contextlib
import ipaddress
import logging
import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from starlette.routing import BaseRoute, Match

from penstock.clock import Clock, system_clock
from penstock.config import Settings
from penstock.database.sqlite import Database
from penstock.errors import PenstockError
from penstock.identity.roles import ANYBODY, LOCAL, SOMEBODY, Actor, Right
from penstock.identity.users import Users
from penstock.service.access.credentials import REFRESH_S, Credential, CredentialCache
from penstock.service.access.open_access import READING, OpenAccess
from penstock.service.access.sign_ins import SignIns
from penstock.service.access.sign_on import SignOn
from penstock.service.decide.predict import DECIDING
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import ACTOR, dry_run, is_own

log = logging.getLogger("penstock.service")

COOKIE = "penstock_session"
_AT_ONCE = 2
"""Concurrent password hashes: each takes 64 MiB and a tenth of a second of a processor, which decisions need more."""

_LONGEST_COOKIE = 4096
"""Maximum bytes of one cookie in browsers."""

NOBODY = Actor("", frozenset())
"""The actor of routes that need no key."""

_CHALLENGE = ((b"www-authenticate", b'Bearer realm="penstock"'),)
_Scope = MutableMapping[str, Any]


TRYING = DECIDING | Right.READ
"""The right for a dry run, which decides without changing or recording anything."""


class Rights:
    """Finds the right that a request needs, matching routes in the same order as the router."""

    def __init__(self, routes: Sequence[BaseRoute], table: Mapping[tuple[str, str], Right]) -> None:
        self._routes = routes
        self._table = table
        self._exact: dict[tuple[str, str], Right | None] = {}

    def needed(self, scope: Mapping[str, Any]) -> Right | None:
        """The needed right; None where nobody has it, because the table lacks the route.

        For a route or method that does not exist, any key is answered so (404, 405).
        """
        asked = method(scope), scope["path"]
        if asked in self._exact:
            return self._exact[asked]
        if asked[0] == "OPTIONS":
            return SOMEBODY
        found = self._of_route(scope, asked[0])
        if asked in self._table and "{" not in asked[1]:
            self._exact[asked] = found
        return found

    def _of_route(self, scope: Mapping[str, Any], asked: str) -> Right | None:
        matched = {**scope, "method": asked}
        for route in self._routes:
            if route.matches(matched)[0] is Match.FULL:
                return self._table.get((asked, getattr(route, "path", "")))
        return SOMEBODY


def deciding(scope: Mapping[str, Any]) -> Right:
    """The right that a request on a hot path needs: `DECIDING`, or `TRYING` for a dry run."""
    with contextlib.suppress(RequestRefused):  # an invalid value is refused after authorization
        if dry_run(scope.get("query_string", b"")):
            return TRYING
    return DECIDING


def method(scope: Mapping[str, Any]) -> str:
    """The method as route declarations name it.

    >>> method({"type": "http", "method": "HEAD"}), method({"type": "websocket"})
    ('GET', 'WS')
    """
    if scope["type"] == "websocket":
        return "WS"
    return "GET" if scope["method"] == "HEAD" else str(scope["method"])


def declared(routes: Sequence[BaseRoute]) -> set[tuple[str, str]]:
    """Every route with its method and path as in its declaration."""
    return {(each, getattr(route, "path", "")) for route in routes for each in getattr(route, "methods", None) or {"WS"}}


class Access:
    """Authorizes requests.

    Open access: everybody is `LOCAL` and has every right. It applies while nobody was ever given a key or a password,
    `exposed` (other machines reach the service) is false, and no identity provider (`sign_on`) is configured.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        exposed: bool,
        sign_on: SignOn | None = None,
        clock: Clock = system_clock,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        """on_closed: called while access is restricted, at the start and at every refresh; may block."""
        self._on_closed = on_closed
        self.roster = CredentialCache(database, clock, settings.rate_limit, settings.rate_burst)
        self.sign_ins = SignIns(clock, settings.trusted_proxies)
        self.clock = clock
        self.hashing = asyncio.Semaphore(_AT_ONCE)
        self.sign_on = sign_on
        self._exposed = exposed or sign_on is not None
        self._while_open = OpenAccess(settings)
        self._rights = Rights([], {})
        self._answers = True
        self._look()

    @property
    def open(self) -> bool:
        """Whether access is open: everybody has every right."""
        return not (self._exposed or self.roster.any)

    @property
    def people(self) -> Users:
        """The users who can sign in."""
        return self.roster.people

    def guard(self, rights: Rights) -> None:
        """Authorize these routes from here on."""
        self._rights = rights

    async def authenticate(self, scope: _Scope) -> None:
        """Resolve a token of the identity provider, if the request has one, before the request is authorized.

        Raises:
            RequestRefused: 403 its owner has no role here, 503 the provider does not answer.
        """
        if self.sign_on is not None and (secret := _secret(dict(scope["headers"]))) is not None:
            await self.sign_on.meet(secret)

    def authorize(self, scope: _Scope, *, hot: bool = False) -> None:
        """Authorize a request and store its actor as `scope["penstock.actor"]`.

        Raises:
            RequestRefused: 401 unknown credential, 403 missing right, 429 rate limit; 403 and 421 as `OpenAccess` says.
        """
        if self.open:
            self._while_open.check(scope)
            scope[ACTOR] = LOCAL
            return
        needed = deciding(scope) if hot else self._rights.needed(scope)
        if needed is ANYBODY:
            scope[ACTOR] = NOBODY
            return
        now = self.clock()
        known = self._known(scope, now)
        if not known.may(needed):
            raise RequestRefused(403, _may_not(known, scope))
        wait_s = known.bucket.wait_s(now) if known.bucket is not None else 0.0
        if wait_s:
            raise too_often("this key asks more often than the service allows", wait_s)
        scope[ACTOR] = known.actor

    def making(self, scope: _Scope) -> contextlib.AbstractContextManager[None]:
        """Guard the creation of a key or user: the first one over HTTP needs the setup token.

        Raises:
            RequestRefused: 403 without it, 409 while another request shows it.
        """
        return self._while_open.making_first(scope) if self.open else contextlib.nullcontext()

    def asker(self, scope: _Scope) -> Actor:
        """The actor of a route that needs no key: `NOBODY` without a key and without a valid session.

        Raises:
            RequestRefused: 401, the key is unknown, expired or revoked.
        """
        if self.open:
            return LOCAL
        try:
            return self._known(scope, self.clock()).actor
        except RequestRefused:
            if _secret(dict(scope["headers"])) is not None:
                raise
            return NOBODY

    def still_authorized(self, scope: _Scope) -> bool:
        """Whether an authorized request would still be authorized; does not count towards its rate limit."""
        if self.open:
            return True
        try:
            known = self._known(scope, self.clock())
        except RequestRefused:
            return False
        return known.may(self._rights.needed(scope))

    async def follow(self) -> None:
        """Follow changes of keys and users, also by other processes, until cancelled."""
        try:
            while True:
                await asyncio.sleep(REFRESH_S)
                await self.refresh()
        finally:
            with contextlib.suppress(PenstockError):
                self.roster.write_used()

    async def refresh(self) -> None:
        """Reload changed keys and users. While the database does not answer, the known ones stay valid, and the log says so."""
        try:
            await asyncio.to_thread(self._look)
        except PenstockError as error:
            if self._answers:
                log.warning("changes of keys and users are not seen: %s", error)
            self._answers = False
        else:
            self._answers = True

    def _look(self) -> None:
        self.roster.refresh()
        if self.roster.any:
            self._on_closed()

    def explain(self) -> str:
        """A sentence for the operator at the start: who has access."""
        if self.open:
            return (
                "open: no key or user exists, so whoever reaches this address may do everything; `penstock keys add` closes it,"
                f" or the first user over HTTP, which needs the setup token {self._while_open.token}"
            )
        if not self.roster.any:
            return "closed: others reach this address and no key or user exists; `penstock keys add` makes the first"
        return "closed: a key or a session is needed"

    def _by_token(self, secret: str, now: int) -> Credential | None:
        known = None if self.sign_on is None else self.sign_on.known(secret)
        return None if known is None or (known.expires_us or 0) <= now else known

    def _known(self, scope: _Scope, now: int) -> Credential:
        headers = dict(scope["headers"])
        secret = _secret(headers)
        if secret is not None:
            known = self.roster.by_key(secret, now) or self._by_token(secret, now)
            if known is None:
                raise RequestRefused(401, "this key opens nothing here: it is unknown, revoked or expired", headers=_CHALLENGE)
            return known
        token = cookie(headers)
        session = self.roster.by_session(token, now) if token else None
        if session is None:
            detail = "sign in, or send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            raise RequestRefused(401, detail, headers=_CHALLENGE)
        if scope.get("method") not in READING:
            refuse_other_pages(headers)
        return session


def _secret(headers: dict[bytes, bytes]) -> str | None:
    given = headers.get(b"authorization")
    if given is not None:
        scheme, _, value = given.partition(b" ")
        return value.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
    key = headers.get(b"x-api-key")
    return None if key is None else key.decode("latin-1")


def cookie(headers: dict[bytes, bytes]) -> str | None:
    """The session token in the browser's cookie, if any."""
    return cookie_named(COOKIE, headers.get(b"cookie", b""))


def cookie_named(name: str, header: bytes) -> str | None:
    r"""The value of one cookie, parsed in linear time; the last of several with the same name.

    Escapes stay as they are, since our cookies have none: `http.cookies` unquotes in quadratic time before Python
    3.11.10 and 3.12.6 (CVE-2024-7592).

    >>> cookie_named("b", b'a="1;2"; b="x=="; c'), cookie_named("c", b"a=1; c")
    ('x==', None)
    """
    found = None
    for pair in header.split(b";"):
        key, mark, value = pair.partition(b"=")
        if mark and key.strip() == name.encode() and len(value) <= _LONGEST_COOKIE:
            found = value.strip().strip(b'"').decode("latin-1")
    return found


def refuse_other_pages(headers: dict[bytes, bytes]) -> None:
    """Refuse a changing request from another site's page (CSRF), since browsers send the cookie by themselves.

    Raises:
        RequestRefused: 403, the page is from another origin.
    """
    origin = headers.get(b"origin")
    if origin is not None and not is_own([origin.decode("latin-1")], headers.get(b"host", b"").decode("latin-1")):
        raise RequestRefused(403, "a page from elsewhere asks; only pages of this service may change something in a session")


def too_often(detail: str, wait_s: float) -> RequestRefused:
    """The refusal 429, with the seconds to wait."""
    return RequestRefused(429, detail, headers=[(b"retry-after", b"%d" % max(1, math.ceil(wait_s)))])


def _may_not(known: Credential, scope: _Scope) -> str:
    roles = ", ".join(sorted(known.actor.roles)) or "none"
    return (
        f"{known.actor.name} may not do this; its roles: {roles} (needed for {scope['path'][:200]}: see docs/guide/access.md)"
    )


def is_loopback(address: str) -> bool:
    """Whether an address is reachable from this machine only.

    >>> [is_loopback(address) for address in ("127.0.0.1", "::1", "0.0.0.0", "::", "10.1.2.3", "a name")]
    [True, True, False, False, False, False]
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
