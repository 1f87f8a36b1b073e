"""Pseudonymisation of personal values by keyed hashing: equal values give equal tokens under one key.

Source: BLAKE2 as a keyed hash, RFC 7693.
"""

import hashlib
from collections.abc import Callable

from penstock.errors import ConfigurationError

PREFIX = "tok_"
_TOKEN_BYTES = 16
TOKEN_LENGTH = len(PREFIX) + 2 * _TOKEN_BYTES
"""Characters of a token."""

_SHORTEST_KEY = 16


def tokeniser(key: bytes | None) -> Callable[[str], str]:
    """The function that turns a personal value into its token, 128 bits under `key`.

    >>> tokeniser(b"0123456789abcdef")("4111 1111 1111 1111")
    'tok_7fdb4249462b533ba74e246b4ff5e7d6'

    Raises:
        ConfigurationError: where the key is missing or too short to protect anything.
    """
    if key is None or len(key) < _SHORTEST_KEY:
        found = "none is given" if key is None else f"this one has {len(key)} bytes"
        raise ConfigurationError(
            f"personal fields are replaced by keyed tokens, and {found}; give a secret of at least {_SHORTEST_KEY} random bytes"
        )
    secret = key if len(key) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(key).digest()
    start = hashlib.blake2b(key=secret, digest_size=_TOKEN_BYTES, person=b"penstock token")

    def token(value: str) -> str:
        state = start.copy()
        state.update(value.encode("utf-8", "surrogatepass"))
        return PREFIX + state.hexdigest()

    return token


def remembering(token: Callable[[str], str], said: dict[str, str]) -> Callable[[str], str]:
    """Wrap the function so that it records the value of each token.

    >>> said = {}
    >>> remembering(tokeniser(b"0123456789abcdef"), said)("ana")
    'tok_e76f5e1401e8f4bfc34b0b78acba5938'
    >>> list(said.values())
    ['ana']
    """

    def token_of(value: str) -> str:
        found = token(value)
        said[found] = value
        return found

    return token_of
