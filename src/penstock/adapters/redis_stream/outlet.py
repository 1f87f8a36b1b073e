"""The Redis producer for producers and API processes: messages are queued, and a thread sends them in batches."""

import threading
import time
import uuid
from collections import deque
from typing import NamedTuple

from penstock.adapters.redis_stream.address import RedisAddress
from penstock.adapters.redis_stream.line import Line
from penstock.errors import BrokerError, BrokerUnavailable
from penstock.stream.port import OnAcknowledged

MOST_WAITING = 100_000
"""Messages that may wait; so many bytes, too."""

_MOST_BYTES = 256 << 20
_BATCH, _BATCH_BYTES = 500, 4 << 20
_MARK_S = 3600
_WAIT_S = 0.1


class _WaitingMessage(NamedTuple):
    until: float
    role: str
    body: bytes
    done: OnAcknowledged | None
    trace: bytes


class RedisOutlet:
    """`Outlet` on Redis. A message not delivered within `patience_s` is dropped, and its sender notified.

    Messages arrive in the order in which they were put, each once: a batch whose response was lost is sent again, and Redis
    recognises it by its number. Keys have no effect here: a stream is one shard.
    """

    def __init__(self, address: RedisAddress, line: Line, *, patience_s: float = 30.0) -> None:
        self._address, self.line = address, line.another()
        self._script = line.script("put")
        self._mark = f"{address.topics.journal}.outlet.{uuid.uuid4().hex}"
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._queue: deque[_WaitingMessage] = deque()
        self._waiting = self._size = self._batches = 0
        self._closing = False
        self._thread = threading.Thread(target=self._send_all, name="penstock-outlet", daemon=True)
        self._thread.start()

    def put(
        self,
        role: str,
        key: str,  # noqa: ARG002  the port's signature
        body: bytes,
        done: OnAcknowledged | None = None,
        *,
        trace: bytes = b"",
    ) -> None:
        """See `Outlet.put`."""
        with self._changed:
            if self._closing:
                raise BrokerError("this way into Redis is closed")
            if self._waiting >= MOST_WAITING or self._size >= _MOST_BYTES:
                raise BrokerError("Redis takes less than is sent: too many messages wait; come again")
            self._queue.append(_WaitingMessage(time.monotonic() + self._patience_s, role, body, done, trace))
            self._waiting += 1
            self._size += len(body)
            self._changed.notify_all()

    def _send_all(self) -> None:
        while batch := self._next():
            error = self._send(batch)
            for message in batch:
                if message.done is not None:
                    message.done(error)
            with self._changed:
                self._waiting -= len(batch)
                self._size -= sum(len(message.body) for message in batch)
                self._changed.notify_all()

    def _next(self) -> list[_WaitingMessage]:
        """The next batch to send; nothing once this is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            batch: list[_WaitingMessage] = []
            size = 0
            while self._queue and len(batch) < _BATCH and size < _BATCH_BYTES:
                batch.append(self._queue.popleft())
                size += len(batch[-1].body)
            return batch

    def _send(self, batch: list[_WaitingMessage]) -> BrokerError | None:
        self._batches += 1
        numbers = {role: k for k, role in enumerate(dict.fromkeys(message.role for message in batch), start=1)}
        keys = [self._mark, *map(self._address.topics.named, numbers)]
        arguments: list[str | bytes | int] = [self._batches, _MARK_S, len(numbers), *map(self._address.most_in, numbers)]
        for message in batch:
            arguments += (numbers[message.role], message.body, message.trace)
        while True:
            try:
                self.line.run(self._script, keys, arguments)
            except BrokerUnavailable as error:
                if self._closing or time.monotonic() > batch[0].until:
                    return BrokerError(f"Redis did not take the message: {error}")
                time.sleep(_WAIT_S)
            except BrokerError as error:
                return error
            else:
                return None

    def flush(self, timeout_s: float) -> int:
        """See `Outlet.flush`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout_s)
            return self._waiting

    @property
    def trouble(self) -> str | None:
        """Why Redis cannot be reached; None when all is well."""
        return self.line.trouble

    def close(self) -> None:
        """Flush and close; messages that Redis has not accepted by then are dropped."""
        self.flush(10.0)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
