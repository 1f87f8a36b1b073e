"""Followers: load newer models, rules, trials or features while an engine decides, and apply them between two batches."""

import logging
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from penstock.engine.engine import Engine
from penstock.engine.trials.challenger import InTrial, NewerTrial
from penstock.errors import DeclarationError, PenstockError
from penstock.models import Ensemble
from penstock.rules import NewerRules, RuleSetRevision

C = TypeVar("C")

Newer = Callable[[str | None], Ensemble | None]
"""Called in a thread with the deciding version: the champion if it is another one, loaded, warm and validated; else None.
Raises a PenstockError if it cannot be loaded; it is called again later.
"""

RULES_EVERY_S = 0.3
"""Seconds between two polls for newer rules: a change is in force within a second."""

RARELY_S = 60.0
"""The longest pause between polls while the champion cannot be loaded."""

_log = logging.getLogger("penstock.engine")


class Follower(ABC, Generic[C]):
    """Follows one kind of configuration of a detector, for one engine at a time.

    The driver calls `load` in a separate thread; then `apply` where the engine decides, between two batches; then
    `settle`, in a thread. `fail` takes the error of any of these: what is in force stays in force, and is loaded again later.

    detector: its name. every_s: time between two polls; rarely_s: at most, while they fail. goes_on: what is said to stay in
    force when a change fails. trouble: why the newest change is not in force.
    """

    every_s = RULES_EVERY_S
    rarely_s = 0.0
    goes_on = ""

    def __init__(self, detector: str) -> None:
        self.detector = detector
        self.trouble: str | None = None
        self._in_force: tuple[weakref.ref[Engine], int] | None = None

    @abstractmethod
    def load(self, engine: Engine, stopped: Callable[[], bool], /) -> C | None:
        """The change to apply to an engine, loaded and checked; None if absent, or if stopped. May take a while.

        Raises:
            PenstockError: it cannot be loaded.
        """

    @abstractmethod
    def apply(self, engine: Engine, change: C) -> None:
        """Apply a loaded change.

        Raises:
            PenstockError: it does not fit; nothing has changed.
        """

    def settle(self, engine: Engine, change: C, /) -> None:
        """Note that a change is in force."""

    def fail(self, _change: C | None, error: Exception, /) -> None:
        """Note that a change could not be loaded or applied; the same trouble is logged once."""
        trouble = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
        if trouble != self.trouble:
            _log.warning("%s: %s: %s", self.detector, self.goes_on, trouble)
        self.trouble = trouble

    def pause_s(self, before_s: float, *, failed: bool) -> float:
        """The time until the next poll, after a pause of so long."""
        return min(2 * before_s, max(self.rarely_s, self.every_s)) if failed else self.every_s

    @property
    def revision(self) -> int:
        """The revision in force; 0 before any."""
        return 0 if self._in_force is None else self._in_force[1]

    def _revision(self, engine: Engine, first: int) -> int:
        """The revision in force in this engine; `first` before any."""
        known = self._in_force
        return known[1] if known is not None and known[0]() is engine else first

    def _keep(self, engine: Engine, revision: int) -> None:
        self._in_force = weakref.ref(engine), revision


class ModelFollower(Follower[Ensemble]):
    """Follows the champion. While it cannot be loaded, it is polled less and less often."""

    rarely_s = RARELY_S

    def __init__(self, detector: str, newer: Newer, every_s: float) -> None:
        super().__init__(detector)
        self._newer, self.every_s = newer, every_s
        self._before: str | None = None

    def load(self, engine: Engine, _stopped: Callable[[], bool], /) -> Ensemble | None:
        """See `Follower.load`."""
        self._before = engine.model_version
        self.goes_on = f"{self._before or 'nothing'} goes on deciding"
        return self._newer(self._before)

    def apply(self, engine: Engine, change: Ensemble) -> None:
        """See `Follower.apply`."""
        engine.use(change)

    def settle(self, _engine: Engine, change: Ensemble, /) -> None:
        """See `Follower.settle`."""
        replaced = f", not {self._before}" if self._before else ""
        _log.info("%s: model version %s decides from now on%s", self.detector, change.version, replaced)


class RulesFollower(Follower[RuleSetRevision]):
    """Follows rules and lists."""

    goes_on = "the rules in force stay in force"

    def __init__(self, detector: str, newer: NewerRules) -> None:
        super().__init__(detector)
        self._newer = newer

    def load(self, engine: Engine, _stopped: Callable[[], bool], /) -> RuleSetRevision | None:
        """See `Follower.load`."""
        found = self._newer(self._revision(engine, 0))
        if found is not None:
            with suppress(DeclarationError):  # compiled here, so that the deciding thread only takes them over
                engine.detector.with_rules(found.rules, found.lists)
        return found

    def apply(self, engine: Engine, change: RuleSetRevision) -> None:
        """See `Follower.apply`."""
        engine.use_rules(change.rules, change.lists)

    def settle(self, engine: Engine, change: RuleSetRevision, /) -> None:
        """See `Follower.settle`."""
        if self._revision(engine, 0):
            _log.info("%s: %d rules of revision %d decide from now on", self.detector, len(change.rules), change.revision)
        self._keep(engine, change.revision)


class TrialFollower(Follower[InTrial]):
    """Follows the challengers in trial."""

    goes_on = "what is tried goes on as it was"

    def __init__(self, detector: str, newer: NewerTrial) -> None:
        super().__init__(detector)
        self._newer = newer

    def load(self, engine: Engine, _stopped: Callable[[], bool], /) -> InTrial | None:
        """See `Follower.load`."""
        return self._newer(self._revision(engine, -1))

    def apply(self, engine: Engine, change: InTrial) -> None:
        """See `Follower.apply`."""
        engine.challenge(*change.challengers)

    def settle(self, engine: Engine, change: InTrial, /) -> None:
        """See `Follower.settle`."""
        self._keep(engine, change.revision)
