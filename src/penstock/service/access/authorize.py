"""Authentication and authorization of requests, before any handler runs."""

import asyncio
import contextlib
import ipaddress
import logging
import math
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

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
from penstock.service.decide.detectors import beyond
from penstock.service.decide.predict import DECIDING
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import ACTOR, BUCKET, VISIBLE, dry_run, is_own

log = logging.getLogger("penstock.service")

COOKIE = "penstock_session"
_AT_ONCE = 2
"""Maximum of concurrent password hashes. Each takes 64 MiB and 0.1 s of a core."""

_LONGEST_COOKIE = 4096
"""Maximum size of a cookie in browsers, in bytes."""

ANONYMOUS = Actor("", frozenset())
"""The actor of requests without credentials, on routes that need none."""

_CHALLENGE = ((b"www-authenticate", b'Bearer realm="penstock"'),)
_Scope = MutableMapping[str, Any]


TRYING = DECIDING | Right.READ
"""The right to make a dry run."""


class Rights:
    """Looks up the right that a request needs. Routes are matched in the order of the router.

    limited: the routes that are open to callers whose role holds for some detectors alone.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        table: Mapping[tuple[str, str], Right],
        limited: Collection[tuple[str, str]] = frozenset(),
    ) -> None:
        self._routes = routes
        self._table = table
        self._limited = limited
        self._exact: dict[tuple[str, str], Right | None] = {}

    def needed(self, scope: Mapping[str, Any]) -> Right | None:
        """The right that a request needs; None if the table lacks the route, which then refuses everybody.

        An unknown path or method needs any key; its caller gets 404 or 405.
        """
        asked = method(scope), scope["path"]
        if asked in self._exact:
            return self._exact[asked]
        if asked[0] == "OPTIONS":
            return SOMEBODY
        path = self._path_of_route(scope, asked[0])
        found = SOMEBODY if path is None else self._table.get((asked[0], path))
        if asked in self._table and "{" not in asked[1]:
            self._exact[asked] = found
        return found

    def by_detector(self, scope: Mapping[str, Any]) -> bool:
        """Whether a request is to a route that is open to callers whose role holds for some detectors alone."""
        asked = method(scope)
        return (asked, self._path_of_route(scope, asked)) in self._limited

    def _path_of_route(self, scope: Mapping[str, Any], asked: str) -> str | None:
        """The path of a request's route as it is declared."""
        matched = {**scope, "method": asked}
        for route in self._routes:
            if route.matches(matched)[0] is Match.FULL:
                return str(getattr(route, "path", ""))
        return None


def named_detectors(scope: Mapping[str, Any]) -> list[str]:
    """The detectors that a request names in its path and query.

    >>> named_detectors({"path": "/detectors/card/rules", "query_string": b"detector=payments"})
    ['card', 'payments']
    """
    path: str = scope["path"]
    asked = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
    in_path = [path.split("/")[2]] if path.startswith("/detectors/") else []
    return in_path + [value for name, value in asked if name == "detector"]


def deciding(scope: Mapping[str, Any]) -> Right:
    """The right that a predict request needs: `DECIDING`, or `TRYING` for a dry run."""
    with contextlib.suppress(RequestRefused):  # an invalid value is refused after authorization
        if dry_run(scope.get("query_string", b"")):
            return TRYING
    return DECIDING


def method(scope: Mapping[str, Any]) -> str:
    """The method of a request as in route declarations.

    >>> method({"type": "http", "method": "HEAD"}), method({"type": "websocket"})
    ('GET', 'WS')
    """
    if scope["type"] == "websocket":
        return "WS"
    return "GET" if scope["method"] == "HEAD" else str(scope["method"])


def declared(routes: Sequence[BaseRoute]) -> set[tuple[str, str]]:
    """Method and path of every route, as declared."""
    return {(each, getattr(route, "path", "")) for route in routes for each in getattr(route, "methods", None) or {"WS"}}


class Access:
    """Authorizes requests.

    With open access every caller is `LOCAL` and has all rights. Access is open while no key or user was ever created,
    other machines cannot reach the service (`exposed` is false), and no identity provider (`sign_on`) is configured.
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
        """on_closed: called at the start and at every refresh while access is not open. It may block."""
        self._on_closed = on_closed
        self.credentials = CredentialCache(database, clock, settings.rate_limit, settings.rate_burst)
        self.sign_ins = SignIns(clock, settings.trusted_proxies)
        self.clock = clock
        self.hashing = asyncio.Semaphore(_AT_ONCE)
        self.sign_on = sign_on
        self._exposed = exposed or sign_on is not None
        self._while_open = OpenAccess(settings)
        self._rights = Rights([], {})
        self._answers = True
        self._reload()

    @property
    def open(self) -> bool:
        """Whether every caller has all rights."""
        return not (self._exposed or self.credentials.any)

    @property
    def people(self) -> Users:
        """The users who can sign in."""
        return self.credentials.people

    def guard(self, rights: Rights) -> None:
        """Set the rights of the routes."""
        self._rights = rights

    async def authenticate(self, scope: _Scope) -> None:
        """Validate the identity provider's token of a request, if it has one. Call it before `authorize`.

        Raises:
            RequestRefused: 403 if the owner has no role here, 503 if the provider does not answer.
        """
        if self.sign_on is not None and (secret := _secret(dict(scope["headers"]))) is not None:
            await self.sign_on.authenticate_token(secret)

    def authorize(self, scope: _Scope, *, hot: bool = False) -> None:
        """Authorize a request, and store its actor as `scope["penstock.actor"]` and the detectors that it may see, unless
        these are all, as `scope["penstock.visible"]`.

        Raises:
            RequestRefused: 401 for an unknown credential, 403 for a missing right, 429 beyond the rate limit; with open access
                403 and 421, see `OpenAccess`.
        """
        if self.open:
            self._while_open.check(scope)
            scope[ACTOR] = LOCAL
            return
        needed = deciding(scope) if hot else self._rights.needed(scope)
        if needed is ANYBODY:
            scope[ACTOR] = ANONYMOUS
            return
        now = self.clock()
        known = self._known(scope, now)
        if not known.may(needed):
            scope[VISIBLE] = self._visible(known, needed, scope, hot=hot)
        if known.bucket is not None:
            scope[BUCKET] = known.bucket
            if wait_s := known.bucket.wait_s(now):
                raise too_often("this key exceeds its rate limit", wait_s)
        scope[ACTOR] = known.actor

    def _visible(self, known: Credential, needed: Right | None, scope: _Scope, *, hot: bool) -> frozenset[str] | None:
        """The detectors that a request may see if its caller has the needed right for some of them only.

        Raises:
            RequestRefused: 403 for none, for a detector that it names, or because the route concerns all of them.
        """
        found = known.detectors(needed)
        if not found:
            raise RequestRefused(403, _may_not(known, scope))
        if needed != SOMEBODY and not hot and not self._rights.by_detector(scope):
            raise RequestRefused(403, _may_not(known, scope, "; this concerns every detector, so a role for all of them"))
        for name in named_detectors(scope):
            if name not in found:
                raise beyond(name, found)
        return found

    def making(self, scope: _Scope) -> contextlib.AbstractContextManager[None]:
        """Guard the creation of a key or user. The first one over HTTP needs the setup token.

        Raises:
            RequestRefused: 403 without the token, 409 while another request uses it.
        """
        return self._while_open.making_first(scope) if self.open else contextlib.nullcontext()

    def asker(self, scope: _Scope) -> Actor:
        """The actor on a route that needs no key: `ANONYMOUS` without a key and without a valid session.

        Raises:
            RequestRefused: 401 if the key is unknown, expired or revoked.
        """
        if self.open:
            return LOCAL
        try:
            return self._known(scope, self.clock()).actor
        except RequestRefused:
            if _secret(dict(scope["headers"])) is not None:
                raise
            return ANONYMOUS

    def still_authorized(self, scope: _Scope) -> bool:
        """Whether a request would still be authorized. Does not count towards the rate limit."""
        if self.open:
            return True
        try:
            known = self._known(scope, self.clock())
        except RequestRefused:
            return False
        needed = self._rights.needed(scope)
        return known.may(needed) or (bool(now := known.detectors(needed)) and now == scope.get(VISIBLE))

    async def follow(self) -> None:
        """Reload keys and users regularly, until cancelled."""
        try:
            while True:
                await asyncio.sleep(REFRESH_S)
                await self.refresh()
        finally:
            with contextlib.suppress(PenstockError):
                self.credentials.write_used()

    async def refresh(self) -> None:
        """Reload keys and users. If the database does not answer, the loaded ones stay valid, and a warning is logged once."""
        try:
            await asyncio.to_thread(self._reload)
        except PenstockError as error:
            if self._answers:
                log.warning("changes of keys and users cannot be loaded: %s", error)
            self._answers = False
        else:
            self._answers = True

    def _reload(self) -> None:
        self.credentials.refresh()
        if self.credentials.any:
            self._on_closed()

    def explain(self) -> str:
        """One sentence for the operator: who has access."""
        if self.open:
            return (
                "open: no key or user exists, so everyone who reaches this address has all rights; `penstock keys add`"
                f" closes it, or the first user over HTTP, which needs the setup token {self._while_open.token}"
            )
        if not self.credentials.any:
            return "closed: other machines reach this address and no key or user exists; create one with `penstock keys add`"
        return "closed: a key or a session is needed"

    def _by_token(self, secret: str, now: int) -> Credential | None:
        known = None if self.sign_on is None else self.sign_on.known(secret)
        return None if known is None or (known.expires_us or 0) <= now else known

    def _known(self, scope: _Scope, now: int) -> Credential:
        headers = dict(scope["headers"])
        secret = _secret(headers)
        if secret is not None:
            known = self.credentials.by_key(secret, now) or self._by_token(secret, now)
            if known is None:
                raise RequestRefused(401, "this key is unknown, revoked or expired", headers=_CHALLENGE)
            return known
        token = cookie(headers)
        session = self.credentials.by_session(token, now) if token else None
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
    """The session token in a request's cookie; None without one."""
    return cookie_named(COOKIE, headers.get(b"cookie", b""))


def cookie_named(name: str, header: bytes) -> str | None:
    r"""The value of a cookie; the last one if the name is repeated. Escapes are not decoded.

    `http.cookies` is not used: it takes quadratic time before Python 3.11.10 and 3.12.6 (CVE-2024-7592).

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
    """Refuse a request from a page of another origin (CSRF).

    Raises:
        RequestRefused: 403 if the origin is another one.
    """
    origin = headers.get(b"origin")
    if origin is not None and not is_own([origin.decode("latin-1")], headers.get(b"host", b"").decode("latin-1")):
        raise RequestRefused(
            403, "the request comes from a page of another site; only pages of this service may use its session"
        )


def too_often(detail: str, wait_s: float) -> RequestRefused:
    """The refusal 429 with `Retry-After`."""
    return RequestRefused(429, detail, headers=[(b"retry-after", b"%d" % max(1, math.ceil(wait_s)))])


def _may_not(known: Credential, scope: _Scope, needed: str = "") -> str:
    roles, path = ", ".join(sorted(known.actor.roles)) or "none", scope["path"][:200]
    return f"{known.actor.name} may not do this; its roles: {roles}{needed} (needed for {path}: see docs/guide/access.md)"


def is_loopback(address: str) -> bool:
    """Whether an address is reachable from this machine only.

    >>> [is_loopback(address) for address in ("127.0.0.1", "::1", "0.0.0.0", "::", "10.1.2.3", "a name")]
    [True, True, False, False, False, False]
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
