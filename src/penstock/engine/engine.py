"""The embedded engine: a transaction in, an explained and durable decision out, in one process.

    bytes -> intake (read, quarantine) -> decide (deduplicate, update state, score, decide, record, append) -> answer

One thread uses an engine. One ordered log of records changes the state. After a crash, the next start (see `recovery`) loads
the last snapshot and applies the log after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.clock import Clock, system_clock
from penstock.engine.intake import Intake

if TYPE_CHECKING:  # the rest is imported when an engine is made: `from penstock import Engine` costs nothing
    from penstock.detector import Detector
    from penstock.engine.backfill import FeatureBackfill
    from penstock.engine.keys.index import KeyIndex, KeyIndexer
    from penstock.engine.personal_data import OnPersonal
    from penstock.engine.pipeline import Pipeline
    from penstock.engine.trials.challenger import Challenger
    from penstock.expressions import Members
    from penstock.ledger import Ledger
    from penstock.models import Ensemble
    from penstock.rules import Rule


class Engine(Intake):
    """Decides transactions of one detector.

    >>> from penstock.testing import example_detector
    >>> engine = Engine(example_detector())
    >>> engine.decide({"transaction_id": "t1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}).decision
    'APPROVE'

    Args:
        detector: the declaration to decide by.
        models: a folder of model bundles, whose champion for this detector decides; or an `Ensemble`.
        data: the folder of ledger, state and models; in memory if None.
        wait_for_models: be not ready, rather than raise, while declared models have no bundle.
        ledger: where decisions go, instead of the data folder or memory.
        clock: the arrival time of events.
        memory_limit_gb: the maximum memory of the state; unlimited if None. While it is used up, the policy's `on_failure`
            decides events of new keys.
        segment_mb: the size at which a ledger file is sealed.
        snapshot_every_s: the minimum time between snapshots of the state.
        personal_key: the secret for tokens of personal fields; created in the data folder if None.
        on_personal: called with original values of personal fields, so that they can be stored erasably.
        quarantine_kept: how many of the newest refused events stay in quarantine.
        on_close: called when the engine has closed its ledger.

    Raises:
        BundleError: a declared model has no bundle, or one that does not fit.
        FolderInUse: another process owns the data folder.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        models: Path | str | Ensemble | None = None,
        data: Path | str | None = None,
        wait_for_models: bool = False,
        ledger: Ledger | None = None,
        clock: Clock = system_clock,
        memory_limit_gb: float | None = None,
        segment_mb: int = 64,
        snapshot_every_s: float = 60.0,
        personal_key: bytes | None = None,
        on_personal: OnPersonal | None = None,
        quarantine_kept: int = 10_000,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        from penstock.engine.active_detector import ActiveDetector
        from penstock.engine.decide import BatchDecider
        from penstock.engine.decision_history import DecisionHistory
        from penstock.engine.deduplication import Deduplicator
        from penstock.engine.labels.outcomes import LabelOutcomes
        from penstock.engine.labels.store import LabelStore
        from penstock.engine.personal_data import Personal
        from penstock.engine.pipeline import Pipeline
        from penstock.engine.quarantine import QuarantineWriter
        from penstock.engine.queries import RecordQueries
        from penstock.engine.recent_decisions import RecentDecisions
        from penstock.engine.recovery import Recovery
        from penstock.engine.startup import ensemble_of, ledger_of, personal_key_of
        from penstock.engine.statistics.distribution import category_of, worth_of
        from penstock.engine.statistics.totals import Totals
        from penstock.engine.statistics.trials import TrialStatistics
        from penstock.ingest import Reader

        folder = Path(data) if data is not None else None
        ensemble = ensemble_of(detector, models, folder, wait=wait_for_models)
        pipeline = Pipeline(detector, ensemble, memory_limit=int(memory_limit_gb * 2**30) if memory_limit_gb else None)
        key = personal_key or (personal_key_of(folder, ledger) if detector.schema.personal else None)
        self._owns_ledger, self._on_close, self._closed = ledger is None, on_close, False
        self.key_index: KeyIndex | None = None
        self._indexer: KeyIndexer | None = None
        worth, self.currency = worth_of(detector)
        self.clock = clock
        self.informs = [event.__name__ for event in detector.informs]
        self.ledger = log = ledger or ledger_of(folder, segment_mb, clock)
        self.active = active = ActiveDetector(pipeline, log, clock)
        self.claims = log.claims(detector.name, detector.dedupe_us)
        self.reader = Reader(detector.schema, detector.plan.layout, personal_key=key, remember=on_personal is not None)

        self.queries = queries = RecordQueries(active, log, self.claims, clock)
        self.totals = Totals(worth, detector.plan.layout, clock, category_of(detector))
        self.trials = TrialStatistics(clock)
        self.recent_decisions = RecentDecisions(active, log, worth)
        self.label_outcomes = LabelOutcomes(active, log, queries, clock)
        self.history = DecisionHistory(active, log, queries, self.recent_decisions, self.label_outcomes)
        self.personal = Personal(active, log, self.reader, on_personal)
        self.label_store = LabelStore(active, log, queries, clock)
        self.quarantine = QuarantineWriter(detector.name, detector.schema, log, self.totals, clock, quarantine_kept)
        kept = self.label_store, self.totals, self.recent_decisions
        self.recovery = Recovery(active, log, self.claims, queries, self.totals, kept, clock, folder, snapshot_every_s)
        self.decider = BatchDecider(
            active,
            log,
            self.claims,
            Deduplicator(active, log, self.claims, queries, self.totals),
            clock,
            observers=(*self.personal.observers, self.totals, self.recent_decisions, self.trials, self.recovery),
            event_observers=(*self.personal.observers, self.label_store, self.recovery),
        )
        self._changed()
        self.recovery.recover()
        self.recent_decisions.begin(log.next_seq)

    @property
    def detector(self) -> Detector:
        """The declaration that decides now, with current rules and features."""
        return self.active.detector

    @property
    def pipeline(self) -> Pipeline:
        """The stages that decide now, over the state."""
        return self.active.pipeline

    @property
    def model_version(self) -> str | None:
        """The version of the models that decide."""
        return self.active.format.versions.model

    @property
    def ready(self) -> str | None:
        """None, or the reason why the engine cannot decide."""
        return self.active.ready

    def describe(self) -> dict[str, Any]:
        """The definition that is served: fields, features, models, rules, policy, versions."""
        from penstock.engine.description import describe

        return describe(self.active, self.recovery.notes)

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        """The features of one key now, without a new event; None where it was never seen.

        Raises:
            DeclarationError: the detector has no such entity.
            MalformedEvent: the text cannot be a key of it.
        """
        from penstock.engine.description import features_of_key

        return features_of_key(self.active, entity, key)

    def stats(self) -> dict[str, Any]:
        """Counts, money and latencies since this data folder was created."""
        return self.totals.stats() | {"currency": self.currency}

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counters since the start, by name."""
        state = self.pipeline.state
        return self.totals.metrics() | {
            "state_bytes": float(state.used_bytes),
            "memory_refused": float(state.refused),
            "ledger_cut_bytes": float(getattr(self.ledger, "cut_bytes", 0)),  # of files alone
        }

    # ---- changes, which apply from the next batch on

    def use(self, ensemble: Ensemble) -> None:
        """Let these models decide.

        Raises:
            BundleError: they do not fit this detector's features.
        """
        self.active.use(ensemble)
        self._changed()

    def challenge(self, *challengers: Challenger) -> None:
        """Set the models that are tried next to those that decide; none ends all trials.

        Raises:
            BundleError: one does not fit this detector's features.
            DeclarationError: they cannot be tried together, or the keys of a share cannot be shared out.
        """
        self.active.challenge(*challengers)
        self._changed()

    def use_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members] | None = None) -> None:
        """Replace all rules at once; state and models stay. lists: those that the rules read; unchanged unless given.

        Raises:
            DeclarationError: one of them cannot work; nothing has changed.
        """
        self.active.use_rules(rules, lists)
        self._changed()

    def activate_features(self, backfill: FeatureBackfill) -> None:
        """Use the features whose state `active.backfill` has filled; rules, lists, models and trials stay.

        Raises:
            DeclarationError, BundleError: they do not fit it; nothing has changed.
        """
        self.active.activate_features(backfill)
        self.recovery.renew()
        self._changed()

    def _changed(self) -> None:
        self.reader.use(self.detector.plan.layout)
        self.trials.use(self.active.format.trials)

    def index_keys(self) -> None:
        """Maintain an index of the keys in the ledger's files, in the background, which makes verification of a long log fast.

        If features add keys, it is rebuilt at the next start.
        """
        from penstock.engine.keys.index import KeyIndex, KeyIndexer

        self.key_index = KeyIndex.of(self.ledger, self.detector)
        self._indexer = KeyIndexer(self.key_index) if self.key_index is not None else None

    # ---- the end

    def close(self) -> None:
        """Make everything durable, save the state and release the data folder; idempotent.

        Raises:
            LedgerError: the device refused; acknowledged decisions are durable nevertheless.
        """
        if self._closed:
            return
        self._closed = True
        with ExitStack() as closing:
            closing.callback(self._on_close)
            if self._owns_ledger:
                closing.callback(self.ledger.close)
            closing.callback(self.recovery.close)
            closing.callback(self.quarantine.close)
            if self._indexer is not None:
                closing.callback(self._indexer.close)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
