"""`/session`: signing in and out, and the current user with their rights."""

import asyncio

import msgspec
from fastapi import FastAPI, Request, Response

from penstock.identity.roles import LOCAL, Actor, Right, rights
from penstock.identity.users import SESSION_US
from penstock.service.access.authorize import COOKIE, Access, cookie, refuse_other_pages, too_often
from penstock.service.access.rights import ACTOR
from penstock.service.http import bodies
from penstock.service.http.openapi import answers, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.records.decisions import json_response
from penstock.service.schemas import Session, SignIn, SignInWays

_MOST_BYTES = 8192
_AT_ONCE = 2
"""Concurrent password hashes: each takes 64 MiB and a tenth of a second of a processor, which decisions need more."""

_OPEN = (
    "Nobody is asked for a key: whoever reaches this address may do everything. The first key or user closes the service: "
    "penstock keys add, or Operations in the console with the setup token that the service printed when it started."
)


def add_routes(routes: FastAPI, access: Access | None) -> None:
    """Add the routes; without `access` everybody is local, and nobody can sign in."""
    hashing = asyncio.Semaphore(_AT_ONCE)

    @routes.post(
        "/session", tags=["access"], responses=answers("Session", 400, 401, 403, 413, 429), openapi_extra=requires("SignIn")
    )
    async def sign_in(request: Request) -> Response:
        """Sign in with name and password; the answer sets a cookie."""
        headers = dict(request.scope["headers"])
        refuse_other_pages(headers)
        given = _decoded(await bodies.read_body(request.scope, request.receive, _MOST_BYTES))
        if access is None:
            raise RequestRefused(401, "nobody can sign in here: this service keeps no users")
        address = client_address(request, access)
        wait_s = access.sign_ins.wait_s("password", given.name, address)
        if wait_s:
            raise too_often("too many attempts to sign in", wait_s)
        async with hashing:
            token = await asyncio.to_thread(access.people.sign_in, given.name, given.password)
        if token is None:
            known = await asyncio.to_thread(access.people.knows, given.name)
            reason = "wrong password, or a user who is disabled" if known else "no user of this name"
            access.sign_ins.failed("password", address, reason, name=given.name, known=known)
            raise RequestRefused(401, "name and password do not belong together")
        access.sign_ins.succeeded("password", given.name, address)
        await access.refresh()
        session = access.roster.by_session(token, access.clock())
        answer = _told(session.actor if session else Actor(given.name, frozenset()), access)
        answer.headers["set-cookie"] = session_cookie(token, SESSION_US // 1_000_000, secure=is_secure(request))
        return answer

    @routes.delete("/session", tags=["access"], responses=answers("Session", 401, 403))
    async def sign_out(request: Request) -> Response:
        """Sign out: the session ends for every holder of its cookie."""
        token = cookie(dict(request.scope["headers"]))
        if token is not None and access is not None:
            await asyncio.to_thread(access.people.sign_out, token)
            await access.refresh()
        answer = _told(Actor("", frozenset()), access)
        answer.headers["set-cookie"] = session_cookie("", 0, secure=is_secure(request))
        return answer

    @routes.get("/session", tags=["access"], responses=answers("Session", 401))
    async def who(request: Request) -> Response:
        """The current user and their rights; without a session, the ways to sign in."""
        return _told(request.scope.get(ACTOR, LOCAL) if access is None else access.asker(request.scope), access)


def _told(actor: Actor, access: Access | None) -> Response:
    is_open = access is None or access.open
    ways = SignInWays(
        needed=not is_open and not actor.name,
        password=access is not None,
        oidc=access is not None and access.sign_on is not None,
    )
    held = sorted(str(right.name).lower() for right in Right if right in rights(actor.roles))
    told = Session(
        name=actor.name, roles=sorted(actor.roles), rights=held, open=is_open, sign_in=ways, notice=_OPEN if is_open else None
    )
    answer = json_response(msgspec.json.encode(told))
    answer.headers["cache-control"] = "no-store"
    return answer


def _decoded(body: bytes) -> SignIn:
    try:
        return msgspec.json.decode(body, type=SignIn)
    except msgspec.ValidationError as error:
        raise RequestRefused(422, f"a name and a password are needed: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRefused(400, f"this is not valid JSON: {error}") from None


def client_address(request: Request, access: Access) -> str:
    """The client address that sign-in attempts are counted for."""
    peer = request.client.host if request.client else ""
    return access.sign_ins.address(peer, request.headers.getlist("x-forwarded-for"))


def session_cookie(token: str, age_s: int, *, secure: bool) -> str:
    """The session cookie: not readable by scripts, not sent by other sites' pages, only over TLS where there is TLS."""
    return f"{COOKIE}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")


def is_secure(request: Request) -> bool:
    """Whether TLS reaches this process or the proxy in front of it; a false claim only locks out the client that makes it."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"
