"""Connections to Redis, and the mapping of its errors to those of a sink."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from penstock.errors import ConfigurationError, SinkUnavailable, shown_url

_ANSWER_WITHIN_S = 10


def place_of(url: str) -> str:
    """The server of a URL, for messages: without user and password.

    >>> place_of("redis://someone:secret@cache:6380/2")
    'redis://cache:6380/2'

    Raises:
        ConfigurationError: this is no URL of Redis.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigurationError(f"{parts.scheme or shown_url(url)!r}://... is no URL of Redis; write redis://HOST:PORT")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def connect(url: str) -> redis.Redis:
    """A client that connects on first use and never retries by itself.

    Raises:
        ConfigurationError: this is no URL of Redis.
    """
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=_ANSWER_WITHIN_S,
            socket_connect_timeout=_ANSWER_WITHIN_S,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            client_name="penstock",
        )
    except ValueError as error:
        raise ConfigurationError(f"the URL {place_of(url)} cannot be read: {error}") from error


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Map errors of the server to those of a sink.

    Raises:
        SinkUnavailable: it does not answer, or refuses.
    """
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise SinkUnavailable(f"{place} does not answer: {error}; writing is tried again by itself") from error
    except redis.RedisError as error:
        raise SinkUnavailable(f"{place} refuses: {error}; writing is tried again by itself") from error
