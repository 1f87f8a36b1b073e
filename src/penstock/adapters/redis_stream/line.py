"""Calls to Redis with timeouts and retries, and the mapping of its errors."""

import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from redis import Redis, RedisError, exceptions
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from penstock.adapters.redis_stream.address import RedisAddress
from penstock.errors import BrokerError, BrokerUnavailable

ANSWER_S = 5.0
"""A server that says nothing for so long does not answer."""

_WAIT_S = 0.2
_PASSES = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.MasterDownError,
    OSError,
)
_PASSING = ("MISCONF", "NOREPLICAS", "BUSY ")
"""What a server answers that is to be asked again: it reads its file, changes its role, or has no room for now."""


class Line:
    """A connection to one Redis. Thread-safe; each purpose has a separate line, so that `trouble` concerns that purpose.

    >>> line = Line.to(RedisAddress.of("redis://127.0.0.1:1"))
    >>> try:
    ...     line.ask("PING")
    ... except BrokerUnavailable as error:
    ...     line.trouble == str(error)
    True
    """

    def __init__(self, client: Redis, server: str) -> None:
        self._client, self._server = client, server
        self.trouble: str | None = None

    @classmethod
    def to(cls, address: RedisAddress) -> "Line":
        """A first line to a server; `another` ones share its connections. Only `insist` repeats a call."""
        client = Redis.from_url(
            address.url,
            protocol=2,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            client_name="penstock",
        )
        client.set_response_callback("XREAD", _as_it_came)
        return cls(client, address.server)

    def another(self) -> "Line":
        """A line for another purpose."""
        return Line(self._client, self._server)

    def script(self, name: str) -> Script:
        """A script in this package."""
        here = files(__package__)
        return self._client.register_script("\n".join((here / f"{part}.lua").read_text("utf-8") for part in ("publish", name)))

    def ask(self, *words: str | bytes | int) -> Any:
        """The answer to a command.

        Raises:
            BrokerUnavailable: ask again later.
            BrokerError: Redis refuses.
        """
        return self._checked(lambda: self._client.execute_command(*words))  # type: ignore[no-untyped-call]  # the client's

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """The answer of a script; raises as `ask` does."""
        return self._checked(lambda: script(keys, arguments))

    def _checked(self, ask: Callable[[], Any]) -> Any:
        try:
            answer = ask()
        except (RedisError, OSError) as error:
            text = str(error) or type(error).__name__
            if not _passes(error):
                raise BrokerError(f"Redis at {self._server} refuses: {text}") from error
            what = "can take nothing for now" if isinstance(error, exceptions.ResponseError) else "does not answer"
            self.trouble = f"Redis at {self._server} {what}: {text}"
            raise BrokerUnavailable(self.trouble) from error
        self.trouble = None
        return answer

    def insist(self, ask: Callable[[], Any], patience_s: float) -> Any:
        """Ask again while Redis is silent, at most for so long."""
        until = time.monotonic() + patience_s
        while True:
            try:
                return ask()
            except BrokerUnavailable:
                if time.monotonic() > until:
                    raise
                time.sleep(_WAIT_S)

    def close(self) -> None:
        """Close the connections of this line and of all that came from it."""
        self._client.close()
        self._client.connection_pool.disconnect()


def _passes(error: Exception) -> bool:
    """Whether waiting may help."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return False
    return isinstance(error, _PASSES) or str(error).startswith(_PASSING)


def _as_it_came(answer: Any, **_: Any) -> Any:
    """The client would make a dictionary of every entry."""
    return answer
