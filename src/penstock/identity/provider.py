"""The port of an identity provider (OpenID Connect)."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from penstock.errors import PenstockError

AGAIN_S = 30.0
"""Minimum time between two fetches of the provider's keys because of a token with an unknown key."""


class SignInRefused(PenstockError):
    """The provider refused, or its response does not identify the person."""


class ProviderUnavailable(PenstockError):
    """The provider does not answer, or its answer is invalid."""


class Begun(NamedTuple):
    """A sign-in that has begun. The browser keeps it until it returns. url: the provider's sign-in page."""

    url: str
    state: str
    nonce: str
    verifier: str


class Provider(Protocol):
    """An identity provider. Methods may wait for its answer. Thread-safe.

    Every method raises ProviderUnavailable if the provider does not answer.
    """

    issuer: str

    def begin(self, redirect_uri: str) -> Begun:
        """Begin a sign-in that returns to this URI."""
        ...

    def complete(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> dict[str, Any]:
        """The claims of the person who returned with this code.

        Raises:
            SignInRefused: the code or the identity token is invalid.
        """
        ...

    def of_program(self, token: str) -> dict[str, Any]:
        """The claims of a program's token.

        Raises:
            SignInRefused: the token is invalid, expired, or for another service.
        """
        ...


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim, also one inside others: `realm_access.roles`. A claim of that very name comes first.

    >>> claim({"realm_access": {"roles": ["a"]}}, "realm_access.roles"), claim({"https://x.y/r": 1}, "https://x.y/r")
    (['a'], 1)
    """
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
