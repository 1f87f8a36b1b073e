"""Identities of an OpenID Connect provider: people and programs, mapped to actors and roles."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from penstock.clock import SECOND_US
from penstock.config import Settings
from penstock.identity.provider import Provider, ProviderUnavailable, SignInRefused, claim
from penstock.identity.roles import ROLES, Actor, known_roles
from penstock.identity.users import digest
from penstock.service.access.credentials import Credential
from penstock.service.http.problems import RequestRefused
from penstock.service.http.rate_limit import TokenBucket

log = logging.getLogger("penstock.service")

MARK = "oidc:"
"""Prefix of their names, so that nobody is taken for a user of the office."""

_NAMES = ("preferred_username", "email", "sub")
_LONGEST_NAME = 200
_MOST_REMEMBERED = 10_000
_AT_ONCE = 4


class SignOn:
    """One provider, and the mapping of its claims to roles.

    Args:
        provider: verifies tokens and sign-ins.
        settings: which claim names roles, and how its values map to roles.

    Raises:
        ConfigurationError: a value is mapped to an unknown role.
    """

    def __init__(self, provider: Provider, settings: Settings) -> None:
        self.provider = provider
        self._claim = settings.oidc_roles_claim
        self._roles = {said: known_roles(role.split()) for said, role in settings.oidc_roles.items()}
        self._rate, self._burst = settings.rate_limit, settings.rate_burst
        self._known: dict[str, Credential] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._asking = asyncio.Semaphore(_AT_ONCE)

    def actor(self, claims: Mapping[str, Any]) -> Actor:
        """The actor that these claims describe. Without a mapping, values that are names of roles are these roles.

        Raises:
            RequestRefused: 403, none of their roles exists here.
        """
        said = claim(claims, self._claim)
        values = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        roles = frozenset(role for value in values if isinstance(value, str) for role in self._meaning(value))
        name = next(str(claims[name]) for name in _NAMES if claims.get(name))[:_LONGEST_NAME]
        if not roles:
            raise RequestRefused(403, f"{name!r} has no role here: none of its {self._claim!r} is one (see oidc_roles)")
        return Actor(MARK + name, roles)

    def _meaning(self, value: str) -> frozenset[str]:
        if self._roles:
            return self._roles.get(value, frozenset())
        return frozenset({value}) if value.partition(":")[0] in ROLES else frozenset()

    def known(self, token: str) -> Credential | None:
        """The actor of a token that `meet` has verified."""
        return self._known.get(digest(token))

    async def authenticate_token(self, token: str) -> None:
        """Verify a token and cache its actor; an invalid token stays unknown."""
        if not is_token(token) or (found := digest(token)) in self._known:
            return
        async with self._asking:
            try:
                claims = await asyncio.to_thread(self.provider.of_program, token)
                actor = self.actor(claims)
            except SignInRefused as error:
                log.debug("a token was refused: %s", error)
                return
            except ProviderUnavailable as error:
                log.warning("tokens cannot be verified: %s", error)
                raise RequestRefused(503, "the identity provider does not answer, so tokens cannot be verified") from None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        until_us = round(claims["exp"] * SECOND_US)
        self._known[found] = Credential.of(actor, found, until_us, bucket=self._bucket(actor.name))

    def _bucket(self, name: str) -> TokenBucket | None:
        """The rate limit of a program, shared by all its tokens: it gets a new one every few minutes."""
        if self._rate is None:
            return None
        if len(self._buckets) >= _MOST_REMEMBERED:
            self._buckets.pop(next(iter(self._buckets)))
        return self._buckets.setdefault(name, TokenBucket(self._rate, self._burst))


def is_token(secret: str) -> bool:
    """Whether this looks like a signed token (JWT), which API keys never do.

    >>> is_token("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), is_token("psk_0123abcd_secret")
    (True, False)
    """
    return secret.count(".") == 2 and secret.startswith("ey")
