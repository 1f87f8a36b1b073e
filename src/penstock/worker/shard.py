"""One shard in one process: follows the journal, and owns the shard when this process is elected."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from penstock.engine import Engine
from penstock.engine.statistics.meter import Meter
from penstock.engine.trials.challenger import InTrial
from penstock.engine.warm import GC_THRESHOLDS
from penstock.errors import DeclarationError, Fenced, LedgerError, PenstockError
from penstock.ledger import RecentRecords
from penstock.models import Ensemble
from penstock.rules import RuleSetRevision
from penstock.stream.owner import Owner, try_beside
from penstock.stream.parts import FeatureActivation, Parts
from penstock.stream.port import Candidate, Journal
from penstock.stream.replica import Replica
from penstock.stream.sinks import Feeding
from penstock.worker.feature_backfill import FeatureBackfillThread

SAVE_EVERY_S = 5.0
"""Seconds between writes of a follower's journal position."""

_RULES_EVERY_S = 0.3
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
        self._was_owner = self.ended = False
        self._fresh: Ensemble | None = None
        self._fresh_rules: RuleSetRevision | None = None
        self._fresh_trial: InTrial | None = None
        self._trial_revision = -1
        self._revision = 0
        self._growing: FeatureActivation | None = None
        self._growth: FeatureBackfillThread | None = None

    # ------------------------------------------------------------ running

    def run(self, stop: threading.Event) -> None:
        """Serve this shard until asked to stop, or until another process has taken over on purpose.

        Raises:
            PenstockError: it cannot continue.
        """
        watching = threading.Thread(target=self._watch, args=(stop,), name="penstock-champion", daemon=True)
        watching.start()
        if self._parts.guard is not None:
            threading.Thread(target=self._guard, args=(stop, self._parts.guard), name="penstock-guard", daemon=True).start()
        if self._parts.growing is not None:
            self._growing = self._parts.growing(self.shard)
            growth = FeatureBackfillThread(self._growing, lambda: self._replica, lambda: self._owner is not None)
            self._growth = growth
            threading.Thread(target=growth.run, args=(stop,), name="penstock-features", daemon=True).start()
        while not stop.is_set() and not self.ended:
            self._replica = replica = self._parts.open_replica(self.shard)
            gc.collect()  # the state of a lost ownership is large, and garbage is collected rarely from now on
            gc.set_threshold(*GC_THRESHOLDS)
            self._revision, self._trial_revision, fenced = 0, -1, False
            try:
                self._look_for_rules()
                self._serve(replica, stop)
            except Fenced as error:
                _log.warning("%s stands by from now on: %s", self._name, error)
                fenced = True
            finally:
                self._replica = None
                with suppress(*[LedgerError] * fenced):  # the state holds uncommitted decisions, so it cannot be saved
                    replica.close()

    def _serve(self, replica: Replica, stop: threading.Event) -> None:
        journal = self._parts.broker.journal(self.shard, replica.place)
        try:
            elected = self._follow(replica, journal, stop)
            inbox = self._candidate.claim(self.shard) if elected else None
            if inbox is not None:
                replica.catch_up(journal)
        finally:
            journal.close()
        if inbox is None:
            return
        try:
            self._own(
                replica,
                Owner(
                    replica,
                    inbox,
                    self._name,
                    alone=self._alone,
                    takeover=self._takeover,
                    on_committed=self._committed,
                    between=lambda: self._grow(replica),
                ),
                stop,
            )
        finally:
            inbox.close()

    def _follow(self, replica: Replica, journal: Journal, stop: threading.Event) -> bool:
        """Follow the journal; True when it is time to own."""
        saved = time.monotonic()
        while not stop.is_set():
            moved = replica.follow(journal, 0.2)
            self.trouble = journal.trouble or replica.engine.ready
            if self._was_owner and replica.taken_over:
                _log.info("%s ends: another worker has taken over", self._name)
                self.ended = True
                return False
            self._grow(replica)
            self._take_up(replica)
            if moved and time.monotonic() - saved > SAVE_EVERY_S:
                replica.save()
                saved = time.monotonic()
            if not moved and self._may_own(replica) and journal.end():
                return True
        replica.save()
        return False

    def _may_own(self, replica: Replica) -> bool:
        return replica.engine.ready is None and (self._takeover or self._candidate.elected(self.shard))

    def _own(self, replica: Replica, owner: Owner, stop: threading.Event) -> None:
        self._take_up(replica)
        newest = RecentRecords()
        self._newest, self._owner, self._was_owner = newest, owner, True
        if self._growing is not None:
            self._growing.again()
        self._takeover = False
        self._feedings = [
            Feeding(sink, replica.ledger, newest, owner.fence, owner.fail)
            for sink in self._parts.open_sinks(self.shard, replica)
        ]
        _log.info("%s owns shard %d of %s (owner %d)", self._name, self.shard, replica.engine.detector.name, owner.fence)
        self.trouble = None
        replica.taken_over = False
        try:
            owner.run(stop)
            replica.save()
        finally:
            self._owner = None
            for feeding in self._feedings:
                if stop.is_set():
                    feeding.finish(_SINKS_FINISH_S)
                feeding.close()

    def _committed(self, records: Sequence[Any]) -> None:
        self._newest.add(records)

    def _watch(self, stop: threading.Event) -> None:
        """Poll for newer models and rules, in a separate thread."""
        looked = 0.0
        while not stop.wait(_RULES_EVERY_S):
            replica = self._replica
            if replica is None:
                continue
            try:
                self._look_for_rules()
                self._look_for_trial()
                if self._parts.newer is not None and time.monotonic() - looked > self._parts.follow_every_s:
                    looked = time.monotonic()
                    self._look_for_models(replica)
            except PenstockError as error:
                _log.warning("newer models or rules cannot be had: %s", error)

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

    def _look_for_rules(self) -> None:
        found = self._parts.newer_rules(self._revision) if self._parts.newer_rules is not None else None
        if found is None:
            return
        self._revision = found.revision
        owner = self._owner
        if owner is not None:
            owner.use_rules(found)
        else:
            self._fresh_rules = found

    def _look_for_trial(self) -> None:
        found = self._parts.newer_trial(self._trial_revision) if self._parts.newer_trial is not None else None
        if found is None:
            return
        self._trial_revision = found.revision
        owner = self._owner
        if owner is not None:
            owner.use_trial(found)
        else:
            self._fresh_trial = found

    def _look_for_models(self, replica: Replica) -> None:
        assert self._parts.newer is not None
        found = self._parts.newer(replica.engine.model_version)
        owner = self._owner
        if found is not None and owner is not None:
            owner.use(found)
        elif found is not None:
            self._fresh = found

    def _grow(self, replica: Replica) -> None:
        """Activate backfilled features; here, in the engine's thread."""
        if self._growth is not None:
            self._growth.swap(replica.engine)

    def _take_up(self, replica: Replica) -> None:
        """Apply configuration that arrived while this process did not own the shard."""
        if self._fresh is not None:
            replica.engine.use(self._fresh)
            self._fresh = None
        if self._fresh_rules is not None:
            with suppress(DeclarationError):  # retried: a feature that they read may be activated
                replica.engine.use_rules(self._fresh_rules.rules, self._fresh_rules.lists)
                self._fresh_rules = None
        if self._fresh_trial is not None:
            try_beside(replica.engine, self._fresh_trial)
            self._fresh_trial = None

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
            found["sinks"] = {
                feeding.name: {"behind": feeding.behind, "trouble": feeding.trouble} for feeding in self._feedings
            }
        return found
