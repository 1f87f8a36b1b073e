"""`/session`: signing in and out, and the current user with their rights."""

import asyncio
import functools
import operator
from typing import Annotated

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from penstock.identity.roles import ANYBODY, ROLES, SOMEBODY, Actor, Right, rights, rights_by_detector
from penstock.identity.users import SESSION_US
from penstock.service.access.authorize import COOKIE, Access, cookie, refuse_other_pages, too_often
from penstock.service.http import bodies
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import actor_of, json_answer
from penstock.service.http.route import Routes

_MOST_BYTES = 8192
_FOR_ALL = Right.ADMINISTER | Right.AUDIT
"""Rights that have little use for one detector: most of their routes concern all detectors."""

_OPEN = (
    "No key is needed: everybody who reaches this address may do everything. The first key or user closes the service: "
    "penstock keys add, or Operations in the console with the setup token that the service printed when it started."
)


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password of a user."""

    name: Annotated[str, Meta(max_length=100)]
    password: Annotated[str, Meta(max_length=1024)]


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The present password of the signed-in user, and the one that replaces it."""

    password: Annotated[str, Meta(max_length=1024, extra_json_schema={"format": "password"})]
    new_password: Annotated[
        str, Meta(max_length=1024, description="At least 12 characters.", extra_json_schema={"format": "password"})
    ]


class SignInWays(msgspec.Struct, frozen=True):
    """The available ways to sign in."""

    needed: Annotated[bool, Meta(description="Nothing more is answered until somebody signs in or shows a key.")]
    password: Annotated[bool, Meta(description="With name and password: `POST /session`.")]
    oidc: Annotated[bool, Meta(description="At an identity provider: let the browser go to `/session/oidc`.")]


class Session(msgspec.Struct, frozen=True):
    """The current user and their rights."""

    name: Annotated[str, Meta(description="Of the user or key; empty where nobody has signed in, `local` where open.")]
    roles: Annotated[
        list[str], Meta(description=f"Sorted: {', '.join(sorted(ROLES))}; those for one detector alone as `analyst:payments`.")
    ]
    rights: Annotated[
        list[str],
        Meta(
            description="Sorted, of all roles, also those for one detector alone: administer and audit (both only where they"
            " hold for every detector), approve, author, decide, label, operate, personal, read."
        ),
    ]
    everywhere: Annotated[list[str], Meta(description="Those of `rights` that hold for every detector.")]
    by_detector: Annotated[
        dict[str, list[str]],
        Meta(description="All rights for each detector that a role is limited to; for others they are `everywhere`."),
    ]
    open: Annotated[bool, Meta(description="The service asks nobody who they are.")]
    sign_in: Annotated[SignInWays, Meta(description="How one signs in, and whether that is needed now.")]
    notice: Annotated[str | None, Meta(description="A warning to show, where everybody may do everything.")]


def _session(actor: Actor, access: Access | None) -> Session:
    is_open = access is None or access.open
    ways = SignInWays(
        needed=not is_open and not actor.name,
        password=access is not None,
        oidc=access is not None and access.sign_on is not None,
    )
    everywhere = rights(actor.roles)
    limited = {name: everywhere | held & ~_FOR_ALL for name, held in rights_by_detector(actor.roles).items()}
    return Session(
        name=actor.name,
        roles=sorted(actor.roles),
        rights=_named(functools.reduce(operator.or_, limited.values(), everywhere)),
        everywhere=_named(everywhere),
        by_detector={detector: _named(held) for detector, held in limited.items()},
        open=is_open,
        sign_in=ways,
        notice=_OPEN if is_open else None,
    )


def _named(held: Right) -> list[str]:
    return sorted(str(right.name).lower() for right in held)


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


# ---------------------------------------------------------------- routes

route = Routes("access")


@route("POST", "/session", ANYBODY, answers=Session, takes=SignIn, refuses=(400, 401, 403, 413, 429))
async def create_session(access: Access | None, /, request: Request) -> Response:
    """Sign in with name and password; the answer sets a cookie."""
    refuse_other_pages(dict(request.scope["headers"]))
    given = bodies.decoded(await bodies.read_body(request.scope, request.receive, _MOST_BYTES), SignIn)
    if access is None:
        raise RequestRefused(401, "nobody can sign in here: this service keeps no users")
    address = client_address(request, access)
    wait_s = access.sign_ins.wait_s("password", given.name, address)
    if wait_s:
        raise too_often("too many attempts to sign in", wait_s)
    async with access.hashing:
        token = await asyncio.to_thread(access.people.sign_in, given.name, given.password)
    if token is None:
        known = await asyncio.to_thread(access.people.knows, given.name)
        reason = "wrong password, or a user who is disabled" if known else "no user of this name"
        access.sign_ins.failed("password", address, reason, name=given.name, known=known)
        raise RequestRefused(401, "Incorrect username or password.")
    access.sign_ins.succeeded("password", given.name, address)
    return await _begun(access, token, given.name, request)


async def _begun(access: Access, token: str, name: str, request: Request) -> Response:
    """The answer that hands a new session to the browser."""
    await access.refresh()
    session = access.credentials.by_session(token, access.clock())
    answer = json_answer(_session(session.actor if session else Actor(name, frozenset()), access))
    answer.headers["set-cookie"] = session_cookie(token, SESSION_US // 1_000_000, secure=is_secure(request))
    return answer


@route("PUT", "/session/password", SOMEBODY, answers=Session, takes=NewPassword, refuses=(400, 401, 403, 409, 413, 422, 429))
async def change_own_password(access: Access | None, /, request: Request) -> Response:
    """Change one's own password. Sessions elsewhere end; the answer's cookie is a new session. Attempts are limited as with
    signing in.
    """
    given = bodies.decoded(await bodies.read_body(request.scope, request.receive, _MOST_BYTES), NewPassword)
    name, token = actor_of(request).name, cookie(dict(request.scope["headers"]))
    session = access.credentials.by_session(token, access.clock()) if access is not None and token else None
    if access is None or session is None or session.actor.name != name:
        raise RequestRefused(409, "only a user who has signed in with a password has one to change; a key has none")
    if not await asyncio.to_thread(access.people.knows, name):
        raise RequestRefused(409, f"{name} signs in at an identity provider; change the password there")
    address = client_address(request, access)
    wait_s = access.sign_ins.wait_s("password", name, address)
    if wait_s:
        raise too_often("too many attempts with a wrong password", wait_s)
    async with access.hashing:
        begun = await asyncio.to_thread(access.people.change_own_password, name, given.password, given.new_password)
    if begun is None:
        access.sign_ins.failed("password", address, "wrong present password", name=name, known=True)
        raise RequestRefused(403, "The present password is wrong.")
    access.sign_ins.succeeded("password", name, address)
    return await _begun(access, begun, name, request)


@route("DELETE", "/session", SOMEBODY, answers=Session, refuses=(401, 403))
async def delete_session(access: Access | None, /, request: Request) -> Response:
    """Sign out: the session ends for every holder of its cookie."""
    token = cookie(dict(request.scope["headers"]))
    if token is not None and access is not None:
        await asyncio.to_thread(access.people.sign_out, token)
        await access.refresh()
    answer = json_answer(_session(Actor("", frozenset()), access))
    answer.headers["set-cookie"] = session_cookie("", 0, secure=is_secure(request))
    return answer


@route("GET", "/session", ANYBODY, refuses=(401,))
async def get_session(access: Access | None, /, request: Request) -> Session:
    """The current user and their rights; without a session, the ways to sign in."""
    return _session(actor_of(request) if access is None else access.asker(request.scope), access)
