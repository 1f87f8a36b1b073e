"""Callers who wait until a transaction is decided, woken without polling."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec

from penstock.messages import Refusal
from penstock.service.http.problems import Busy

MOST_WAITING = 4096
"""Callers who may wait at once; each keeps a connection open."""

_encode = msgspec.json.Encoder().encode
_MARK = b'"transaction_id":'
_NEXT = b',"detector":'


class Waiters:
    """The waiting callers of one detector.

    waiting_for: futures by transaction id as JSON. callers: their number. over: waiting has ended for good.
    """

    def __init__(self) -> None:
        self.waiting_for: dict[bytes, set[asyncio.Future[None]]] = {}
        self.callers = 0
        self.over = False

    def decided(self, answers: Sequence[bytes | Refusal]) -> None:
        """Wake callers: these transactions were decided, and are durable."""
        for answer in answers:
            if isinstance(answer, bytes):
                _wake(self.waiting_for.get(id_of(answer), ()))

    def found(self, ids: Sequence[str]) -> None:
        """Wake callers: decisions about these transactions, made elsewhere, can be looked up now."""
        if self.waiting_for:
            for transaction_id in ids:
                _wake(self.waiting_for.get(_encode(transaction_id), ()))

    @contextmanager
    def waiting(self, transaction_id: bytes) -> "Iterator[asyncio.Future[None]]":
        """A context in which the caller waits for a transaction, by its id as JSON.

        Raises:
            Busy: too many callers wait already.
        """
        if self.callers >= MOST_WAITING:
            raise Busy(f"{self.callers} callers wait for transactions already; ask again later, or without wait_seconds")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.over:
            done.set_result(None)
        self.callers += 1
        self.waiting_for.setdefault(transaction_id, set()).add(done)
        try:
            yield done
        finally:
            self.callers -= 1
            others = self.waiting_for[transaction_id]
            others.discard(done)
            if not others:
                del self.waiting_for[transaction_id]

    def cancel_all(self) -> None:
        """End all waiting, now and later, because the service stops."""
        self.over = True
        for futures in self.waiting_for.values():
            _wake(futures)


async def decided(watches: Sequence[Waiters], transaction_id: bytes, seconds: float) -> None:
    """Return when one of these detectors has decided the transaction, or after so many seconds.

    Raises:
        Busy: too many callers wait already.
    """
    with ExitStack() as stack:
        futures = [stack.enter_context(watch.waiting(transaction_id)) for watch in watches]
        await asyncio.wait(futures, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def id_of(decision: bytes) -> bytes:
    r"""The id in a decision, as JSON. It stands first; quotes inside it are escaped, so its end is unambiguous.

    >>> id_of(b'{"transaction_id":"a\\",\\"detector\\":\\"b","detector":"banking","decision":"BLOCK"}')
    b'"a\\",\\"detector\\":\\"b"'
    """
    return decision[decision.find(_MARK) + len(_MARK) : decision.find(_NEXT)]


def _wake(futures: "Sequence[asyncio.Future[None]] | set[asyncio.Future[None]]") -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
