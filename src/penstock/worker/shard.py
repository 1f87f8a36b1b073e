"""One shard in one process: follows the journal, and owns the shard when this process is elected."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any

from penstock.engine import Engine
from penstock.engine.following import RulesFollower
from penstock.engine.statistics.totals import Meter
from penstock.engine.warm import GC_THRESHOLDS
from penstock.errors import BrokerUnavailable, Fenced, LedgerError
from penstock.ledger import RecentRecords
from penstock.stream.owner import Owner
from penstock.stream.parts import Parts
from penstock.stream.port import Candidate, Journal
from penstock.stream.replica import Replica
from penstock.stream.sinks import Feeding
from penstock.stream.store_process import StoreProcess
from penstock.worker.following import FollowerThread

SAVE_EVERY_S = 5.0
"""Seconds between writes of a follower's journal position."""

_GUARD_EVERY_S = 0.5
_SINKS_FINISH_S = 5.0

_log = logging.getLogger(__name__)


class ShardRunner:
    """Follows a shard until this process is elected for it, owns it until that ends, and follows again.

    Args:
        parts: the worker's parts.
        shard: its number.
        name: the name of this process, for people.
        alone: whether it is the only shard.
        takeover: claim from a living owner as soon as the journal has been followed to its end.
    """

    def __init__(self, parts: Parts, shard: int, candidate: Candidate, name: str, *, alone: bool, takeover: bool) -> None:
        self.shard = shard
        self.trouble: str | None = "code is being compiled and state is being recovered"
        self._parts, self._candidate, self._name = parts, candidate, name
        self._alone, self._takeover = alone, takeover
        self._owner: Owner | None = None
        self._replica: Replica | None = None
        self._feedings: list[Feeding] = []
        self._stores: StoreProcess | None = None
        self._was_owner = self.ended = False
        followers = parts.followers(shard, lambda: self._owner is not None)
        self._following = [FollowerThread(follower, self._engine) for follower in followers]

    # ------------------------------------------------------------ running

    def run(self, stop: threading.Event) -> None:
        """Serve this shard until asked to stop, or until another process has taken over on purpose.

        Raises:
            PenstockError: it cannot continue.
        """
        for each in self._following:
            threading.Thread(target=each.run, args=(stop,), name="penstock-follow", daemon=True).start()
        if self._parts.guard is not None:
            threading.Thread(target=self._guard, args=(stop, self._parts.guard), name="penstock-guard", daemon=True).start()
        while not stop.is_set() and not self.ended:
            replica = self._parts.open_replica(self.shard)
            gc.collect()  # the state of a lost ownership is large, and garbage is collected rarely from now on
            gc.set_threshold(*GC_THRESHOLDS)
            fenced = False
            try:
                for each in self._following:
                    if isinstance(each.follower, RulesFollower):
                        each.first(replica.engine)
                self._replica = replica  # followed by the threads from now on
                self._serve(replica, stop)
            except (Fenced, BrokerUnavailable) as error:  # an outage ends the ownership, not the process
                _log.warning("%s stands by from now on: %s", self._name, error)
                fenced = True
            finally:
                self._replica = None
                with suppress(*[LedgerError] * fenced):  # the state holds uncommitted decisions, so it cannot be saved
                    replica.close()

    def _serve(self, replica: Replica, stop: threading.Event) -> None:
        with ExitStack() as reading:
            journal = reading.enter_context(closing(self._parts.broker.journal(self.shard, replica.place)))
            if not self._follow(replica, journal, stop):
                return
            with closing(self._candidate.claim(self.shard)) as inbox:
                replica.catch_up(journal)
                reading.close()  # an owner writes the journal, and reads it no more
                owner = Owner(
                    replica,
                    inbox,
                    self._name,
                    alone=self._alone,
                    takeover=self._takeover,
                    on_committed=self._committed,
                    between=lambda: self._apply_changes(replica),
                )
                self._own(replica, owner, stop)

    def _follow(self, replica: Replica, journal: Journal, stop: threading.Event) -> bool:
        """Follow the journal; True when this process is to own the shard.

        It has then read all entries committed before its election, or before the takeover began. A living owner may write
        faster than this reads, so the rest is read after the claim.
        """
        saved, mark = time.monotonic(), None
        while not stop.is_set():
            moved = replica.follow(journal, 0.2)
            self.trouble = journal.trouble or replica.engine.ready
            if self._was_owner and replica.taken_over:
                _log.info("%s ends: another worker has taken over", self._name)
                self.ended = True
                return False
            self._apply_changes(replica)
            if moved and time.monotonic() - saved > SAVE_EVERY_S:
                replica.save()
                saved = time.monotonic()
            mark = (mark or journal.mark()) if self._may_own(replica, journal) else None
            if mark is not None and journal.has_read(mark):
                return True
        replica.save()
        return False

    def _may_own(self, replica: Replica, journal: Journal) -> bool:
        called = self._takeover or self._candidate.elected(self.shard) or journal.abandoned
        return replica.engine.ready is None and called

    def _own(self, replica: Replica, owner: Owner, stop: threading.Event) -> None:
        self._apply_changes(replica)
        newest = RecentRecords()
        self._newest, self._owner, self._was_owner = newest, owner, True
        self._feedings = [
            Feeding(sink, replica.ledger, newest, owner.fence, owner.fail)
            for sink in self._parts.open_sinks(self.shard, replica)
        ]
        self._stores = stores = self._parts.feed_stores(self.shard, replica, owner.fence, owner.fail)
        if stores is not None:
            replica.stores_lag_s = stores.lag_s
        _log.info("%s owns shard %d of %s (owner %d)", self._name, self.shard, replica.engine.detector.name, owner.fence)
        self.trouble = None
        replica.taken_over = False
        try:
            owner.run(stop)
            owner.inbox.close()  # a standby need not wait for the rest
            replica.save()
        finally:
            self._owner = None
            # Others learn of a takeover by its first entry: one that is cut off before is tried again.
            self._takeover = self._takeover and replica.fence < owner.fence
            fed: list[Feeding | StoreProcess] = [*self._feedings, *([] if stores is None else [stores])]
            for each in fed:
                if stop.is_set():
                    each.finish(_SINKS_FINISH_S)
                each.close()

    def _committed(self, records: Sequence[Any]) -> None:
        if self._feedings:
            self._newest.add(records)

    def _guard(self, stop: threading.Event, guard: Callable[[Engine], None]) -> None:
        """Check the guards of trials, while this process decides."""
        while not stop.wait(_GUARD_EVERY_S):
            replica = self._replica
            if self._owner is None or replica is None:
                continue
            try:
                guard(replica.engine)
            except Exception as error:  # noqa: BLE001  an office that fails must not end what watches it
                _log.warning("guards cannot look: %s", error)

    def _engine(self) -> Engine | None:
        replica = self._replica
        return None if replica is None else replica.engine

    def _apply_changes(self, replica: Replica) -> None:
        """Apply what followers have loaded; here, in the engine's thread."""
        for each in self._following:
            each.apply(replica.engine)

    # ------------------------------------------------------------ monitoring

    @property
    def meter(self) -> Meter | None:
        """The measurements of the engine; None while it is being opened."""
        replica = self._replica
        return None if replica is None else replica.engine.totals.meter

    def status(self) -> dict[str, Any]:
        """The status: `owner`, `fence`, `lag`, `events`, `position`, `sinks`, `trouble`."""
        owner, replica = self._owner, self._replica
        trouble = self.trouble or self._candidate.trouble
        found: dict[str, Any] = {"shard": self.shard, "owner": owner is not None, "trouble": trouble}
        if replica is not None:
            found |= {"fence": replica.fence, "position": replica.ledger.position, "engine": dict(replica.engine.metrics)}
        if owner is not None:
            found |= {"fence": owner.fence, "lag": owner.inbox.lag(), "events": owner.committed_events}
            found["trouble"] = owner.inbox.trouble or self._candidate.trouble
            found["sinks"] = {} if self._stores is None else self._stores.status()
            found["sinks"] |= {feeding.name: feeding.status() for feeding in self._feedings}
        return found
