"""`/session/oidc`: signing in through an OpenID Connect provider, in a browser."""

import asyncio
import base64
import binascii
import logging
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request, Response

from penstock.config import Settings
from penstock.decoding import prepared
from penstock.identity.provider import Begun, ProviderUnavailable, SignInRefused
from penstock.identity.roles import ANYBODY
from penstock.identity.users import SESSION_US
from penstock.service.access.authorize import Access, cookie_named, too_often
from penstock.service.access.session import client_address, is_secure, session_cookie
from penstock.service.access.sign_on import SignOn
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes

log = logging.getLogger("penstock.service")

BACK = "/session/oidc/callback"
COOKIE = "penstock_oidc"
_WITHIN_S = 600
_LONGEST = 4096


class _Pending(msgspec.Struct):
    """The state of a sign-in in progress, kept in the browser's cookie."""

    state: str
    nonce: str
    verifier: str


def _sign_on(access: Access | None) -> SignOn:
    if access is None or access.sign_on is None:
        raise RequestRefused(404, "no identity provider is configured here; sign in with a password: POST /session")
    return access.sign_on


async def _claims(
    found: SignOn, request: Request, public_url: str | None, *, code: str | None, state: str | None, error: str | None
) -> Mapping[str, Any]:
    """The claims that the provider returned.

    Raises:
        RequestRefused: 400 another browser began the sign-in, 401 the provider rejects it, 503 the provider does not answer.
    """
    pending = _pending(request)
    if pending is None or state is None or not secrets.compare_digest(pending.state.encode(), state.encode()):
        raise RequestRefused(400, "this sign-in was not begun in this browser, or too long ago; begin again at /session/oidc")
    if error is not None or code is None:
        raise RequestRefused(401, f"the provider did not sign you in: {error or 'no code'}")
    back = _back(request, public_url)
    try:
        return await asyncio.to_thread(found.provider.complete, code, back, nonce=pending.nonce, verifier=pending.verifier)
    except SignInRefused as refused:
        raise RequestRefused(401, str(refused)) from None
    except ProviderUnavailable as unavailable:
        raise _unavailable(unavailable) from None


def _unavailable(error: ProviderUnavailable) -> RequestRefused:
    log.warning("nobody can sign in with the provider: %s", error)
    return RequestRefused(503, "the identity provider does not answer; try again, or sign in with a password")


def _back(request: Request, public_url: str | None) -> str:
    """The redirect URI, which must be registered with the provider."""
    if public_url is not None:
        return public_url.rstrip("/") + BACK
    return f"http{'s' if is_secure(request) else ''}://{request.headers.get('host', '')}{BACK}"


def _sent_to(url: str) -> Response:
    return Response(status_code=303, headers={"location": url, "cache-control": "no-store", "referrer-policy": "no-referrer"})


def _kept(value: str, age_s: int, *, secure: bool) -> str:
    """The cookie of a sign-in in progress: `Lax`, since the browser returns from another site."""
    return f"{COOKIE}={value}; Path=/session/oidc; Max-Age={age_s}; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def _packed(begun: Begun) -> str:
    plain = msgspec.json.encode(_Pending(begun.state, begun.nonce, begun.verifier))
    return base64.urlsafe_b64encode(plain).decode()


def _pending(request: Request) -> _Pending | None:
    try:
        found = cookie_named(COOKIE, request.headers.get("cookie", "").encode("latin-1"))
        return None if found is None else msgspec.json.decode(base64.urlsafe_b64decode(found), type=prepared(_Pending))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


# ---------------------------------------------------------------- routes

route = Routes("access")


@route("GET", "/session/oidc", ANYBODY, hidden=True)
async def leave(access: Access | None, settings: Settings, /, request: Request) -> Response:
    """Redirect the browser to the provider."""
    found = _sign_on(access)
    try:
        begun = await asyncio.to_thread(found.provider.begin, _back(request, settings.public_url))
    except ProviderUnavailable as error:
        raise _unavailable(error) from None
    answer = _sent_to(begun.url)
    answer.headers["set-cookie"] = _kept(_packed(begun), _WITHIN_S, secure=is_secure(request))
    return answer


@route("GET", BACK, ANYBODY, hidden=True)
async def back(
    access: Access | None,
    settings: Settings,
    /,
    request: Request,
    code: Annotated[str | None, Query(max_length=_LONGEST)] = None,
    state: Annotated[str | None, Query(max_length=_LONGEST)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Handle the return from the provider: identify the user and start a session."""
    found = _sign_on(access)
    assert access is not None
    address = client_address(request, access)
    wait_s = access.sign_ins.wait_s("oidc", BACK, address)
    if wait_s:
        raise too_often("too many attempts to sign in", wait_s)
    try:
        actor = found.actor(await _claims(found, request, settings.public_url, code=code, state=state, error=error))
    except RequestRefused as refused:
        if refused.status < 500:
            access.sign_ins.failed("oidc", address, str(refused))
        raise
    token = await asyncio.to_thread(access.people.let_in, actor.name, actor.roles, found.provider.issuer)
    access.sign_ins.succeeded("oidc", BACK, address)
    await access.refresh()
    answer = _sent_to("/")
    secure = is_secure(request)
    answer.raw_headers.append((b"set-cookie", session_cookie(token, SESSION_US // 1_000_000, secure=secure).encode()))
    answer.raw_headers.append((b"set-cookie", _kept("", 0, secure=secure).encode()))
    return answer
