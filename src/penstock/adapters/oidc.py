"""OpenID Connect: sign-in of people at an identity provider, and verification of its tokens.

The authorization code flow with PKCE (RFC 7636), `state` and `nonce`; tokens are verified as OpenID Connect Core 1.0
(3.1.3.7) asks. The provider's keys are fetched when needed and cached for minutes; a token under an unknown key has them
fetched again, so that the provider can rotate them.
"""

import base64
import hashlib
import http.client
import ipaddress
import secrets
import ssl
import time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
import msgspec

from penstock.decoding import prepared
from penstock.errors import ConfigurationError, PenstockError
from penstock.identity.provider import AGAIN_S, Begun, ProviderUnavailable, SignInRefused

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""How a token may be signed: never by a secret that we know, too, and never not at all."""

_DISCOVERY = "/.well-known/openid-configuration"
_KEPT_S = 3600.0
_TIMEOUT_S = 10.0
_LEEWAY_S = 60
_MOST_BYTES = 1 << 20


class ProviderEndpoints(msgspec.Struct):
    """The fields read from a provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class OidcProvider:
    """`identity.provider.Provider` over HTTP.

    Args:
        issuer: its address, as its tokens name it.
        client_id: of this service at the provider.
        client_secret: of this service; none for a public client.
        audience: expected in tokens of programs; `client_id` unless given.
        scopes: requested.
        again_s: see `AGAIN_S`.

    Raises:
        ConfigurationError: the issuer is no address that can be trusted.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        audience: str | None = None,
        scopes: str = "openid profile email",
        again_s: float = AGAIN_S,
    ) -> None:
        self.issuer = issuer
        self._client_id, self._secret = client_id, client_secret
        self._audience = audience or client_id
        self._scopes = scopes
        self._again_s = again_s
        self._known: tuple[float, ProviderEndpoints, jwt.PyJWKClient] | None = None
        _check(issuer, ConfigurationError)

    def begin(self, redirect_uri: str) -> Begun:
        """See `Provider.begin`."""
        endpoints, _ = self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        mark = "&" if urlsplit(endpoints.authorization_endpoint).query else "?"
        return Begun(f"{endpoints.authorization_endpoint}{mark}{urlencode(asked)}", state, nonce, verifier)

    def complete(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> dict[str, Any]:
        """See `Provider.complete`."""
        endpoints, _ = self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": verifier,
        }
        status, body = _asked("POST", endpoints.token_endpoint, urlencode(form).encode(), self._credentials())
        if status != 200:
            raise SignInRefused(f"the provider does not know this code ({status}); sign in again")
        token = _decoded(body, dict[str, Any]).get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("the provider sent no identity token; does the client there allow `openid`?")
        claims = self._verified(token, self._client_id)
        if not secrets.compare_digest(str(claims.get("nonce", "")), nonce):
            raise SignInRefused("the identity token is not for this sign-in; sign in again")
        if claims.get("azp", self._client_id) != self._client_id:
            raise SignInRefused("the identity token was made for another client")
        return claims

    def of_program(self, token: str) -> dict[str, Any]:
        """See `Provider.of_program`."""
        return self._verified(token, self._audience)

    def _verified(self, token: str, audience: str) -> dict[str, Any]:
        _, keys = self._discovered()
        try:
            key = keys.get_signing_key_from_jwt(token)
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=audience,
                issuer=self.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise ProviderUnavailable(f"{self.issuer} does not tell its keys: {error}") from error
        except jwt.PyJWTError as error:
            raise SignInRefused(f"the token is not good: {error}") from error

    def _credentials(self) -> dict[str, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self._secret is not None:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers

    def _discovered(self) -> tuple[ProviderEndpoints, jwt.PyJWKClient]:
        """The provider's discovery document, refreshed periodically."""
        if self._known is None or time.monotonic() - self._known[0] > _KEPT_S:
            endpoints = self._described()
            keys = jwt.PyJWKClient(endpoints.jwks_uri, timeout=_TIMEOUT_S, cooldown_duration=self._again_s)
            self._known = time.monotonic(), endpoints, keys
        return self._known[1], self._known[2]

    def _described(self) -> ProviderEndpoints:
        status, body = _asked("GET", self.issuer.rstrip("/") + _DISCOVERY, None, {"Accept": "application/json"})
        if status != 200:
            raise ProviderUnavailable(f"{self.issuer}{_DISCOVERY} answers {status}; is it the address of an issuer?")
        found: ProviderEndpoints = _decoded(body, ProviderEndpoints)
        if found.issuer != self.issuer:
            raise ProviderUnavailable(f"{self.issuer} calls itself {found.issuer!r}; set oidc_issuer to exactly that")
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            _check(url, ProviderUnavailable)
        return found


def _check(url: str, kind: type[PenstockError]) -> None:
    """Raises: the kind, where what travels there could be read or changed on its way."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not parts.hostname or not _is_here(parts.hostname):
        raise kind(f"{url!r} is no address of a provider: it reads https://HOST/..., or http:// on this machine")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _asked(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ProviderUnavailable(f"{parts.hostname} does not answer: {error or type(error).__name__}") from error
    finally:
        connection.close()


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=prepared(kind))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProviderUnavailable(f"the provider answers what cannot be understood: {error}") from error
