"""Redis connection settings: address, stream names and length limits."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from penstock.errors import ConfigurationError, shown_url
from penstock.stream.port import Topics

SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
"""How a URL may begin, and what the client calls it; with `s` the connection is encrypted."""

_NUMBERS = ("keep", "keep_out", "keep_journal")


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A server and the streams of one detector on it.

    url: for the client. server: for people, without a password.
    keep: how many messages of the inbox stay after they have been taken in for good. keep_out: how many decisions, alerts
    and quarantined messages stay. keep_journal: how many entries of the journal stay; 0 is all of them. All three are
    rounded up to what Redis can drop cheaply.

    >>> address = RedisAddress.of("redis://:secret@a:6379/2?prefix=banking.&decisions=outcomes&keep=0")
    >>> address.server, address.url, address.topics.labels, address.topics.decisions
    ('a:6379/2', 'redis://:secret@a:6379/2', 'banking.labels', 'outcomes')
    """

    url: str
    server: str
    topics: Topics
    keep: int = 10_000
    keep_out: int = 100_000
    keep_journal: int = 0

    @classmethod
    def of(cls, url: str) -> "RedisAddress":
        """`redis://[[USER]:PASSWORD@]HOST[:PORT][/DB][?prefix=TEXT&ROLE=STREAM&keep=N&keep_out=N&keep_journal=N&ssl_...=...]`.

        Raises:
            ConfigurationError: the text has another form.
        """
        parts = urlsplit(url)
        database = parts.path.strip("/")
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ConfigurationError(
                f"{shown_url(url)!r} names no Redis; it is written redis://HOST:PORT or redis://HOST:PORT/DATABASE"
            )
        if database and not database.isdecimal():
            raise ConfigurationError(
                f"{shown_url(url)!r}: a Redis database has a number, {database!r} is not one; what the names of the streams "
                f"begin with is written redis://{parts.netloc.rpartition('@')[2]}?prefix={database}."
            )
        named: dict[str, str] = {}
        numbers: dict[str, int] = {}
        client: list[tuple[str, str]] = []
        prefix = ""
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name == "prefix":
                prefix = value
            elif name in _NUMBERS:
                numbers[name] = _number(name, value)
            elif name in Topics.__struct_fields__:
                named[name] = value
            elif name.startswith("ssl_"):
                client.append((name, value))
            else:
                roles = ", ".join(Topics.__struct_fields__)
                raise ConfigurationError(
                    f"{shown_url(url)!r}: {name!r} is not known; there are prefix, {', '.join(_NUMBERS)}, ssl_... and, "
                    f"to name streams, {roles}"
                )
        return cls(
            url=urlunsplit((SCHEMES[parts.scheme], parts.netloc, parts.path, urlencode(client), "")),
            server=f"{parts.hostname}:{parts.port or 6379}" + (f"/{database}" if database else ""),
            topics=Topics.under(prefix, **named),
            **numbers,
        )

    @property
    def state(self) -> str:
        """The key of the owner's state: its fence, its last unit, the end of the journal."""
        return f"{self.topics.journal}.owner"

    @property
    def lease(self) -> str:
        """The key that the elected process holds."""
        return f"{self.topics.journal}.lease"

    def most_in(self, role: str) -> int:
        """How many entries a stream that is written to may hold; 0 is any number."""
        return self.keep_out if role in {"decisions", "alerts", "quarantine"} else 0


def _number(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ConfigurationError(f"{name}={value!r} in the stream's URL: a whole number from 0 on is needed")
    return int(value)
