"""Leader election by a lease: the process holding the key may own the detector until the lease expires or is released."""

import threading
import time
import uuid
from contextlib import suppress

from penstock.adapters.redis_stream.address import RedisAddress
from penstock.adapters.redis_stream.inbox import RedisInbox
from penstock.adapters.redis_stream.line import Line
from penstock.errors import BrokerError

LEASE_S = 2.0
"""How long a holder may be silent before the lease goes to another."""

RENEW_S = 0.4
"""How often a candidate asks for it, or asks to keep it."""

_CLAIM_S = 30.0


class RedisCandidate:
    """`Candidate` on Redis. The lease selects the owner; only the fence guarantees that there are never two."""

    def __init__(self, address: RedisAddress, line: Line, group: str, name: str) -> None:
        self._address, self._line, self._group = address, line.another(), group
        self._token = f"{name} {uuid.uuid4().hex}"
        self._stand, self._release, self._claim = (line.script(name) for name in ("stand", "release", "claim"))
        self._held_until = 0.0
        self._inbox: RedisInbox | None = None
        self._asking = threading.Lock()  # an answer from before a claim says nothing about after it
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="penstock-election", daemon=True)
        self._thread.start()

    def _attend(self) -> None:
        while not self._closing.is_set():
            with suppress(BrokerError), self._asking:  # the line remembers why
                self._ask()
            self._closing.wait(RENEW_S)

    def _ask(self) -> None:
        asked = time.monotonic()
        if self._line.run(self._stand, [self._address.lease], [self._token, int(LEASE_S * 1000)]):
            self._held_until = asked + LEASE_S
            return
        self._held_until = 0.0
        if self._inbox is not None:
            self._inbox.lose()

    def elected(self, shard: int) -> bool:
        """See `Candidate.elected`."""
        return shard == 0 and time.monotonic() < self._held_until

    def claim(self, shard: int) -> RedisInbox:
        """See `Candidate.claim`."""
        keys = [self._address.state, self._address.lease]
        with self._asking:
            fence = self._line.insist(lambda: self._line.run(self._claim, keys, [self._token, int(LEASE_S * 1000)]), _CLAIM_S)
            self._inbox = RedisInbox(self._address, self._line, self._group, shard, int(fence), on_close=self._give_up)
            self._ask()
        return self._inbox

    def _give_up(self) -> None:
        """Another may be elected at once; this one stands again, when its turn comes."""
        with self._asking, suppress(BrokerError):  # then it runs out by itself
            self._inbox, self._held_until = None, 0.0
            self._line.run(self._release, [self._address.lease], [self._token])

    @property
    def trouble(self) -> str | None:
        """See `Candidate.trouble`."""
        return self._line.trouble

    def close(self) -> None:
        """Stand no longer."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            self._give_up()
