"""The embedded engine: a transaction in, an explained and durable decision out, in one process.

    bytes -> ingest -> [claims] -> Path (features, models, rules, judge) -> record -> ledger
                                                                          `-> rendered answer

One thread uses an engine. State is changed by one ordered log of records; what a crash leaves behind is the last
snapshot and the log after it, and `open` (see `recovery`) brings both together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from penstock.clock import Clock, system_clock, to_us
from penstock.errors import LedgerError, MalformedEvent

if TYPE_CHECKING:  # the rest is imported when an engine is made: `from penstock import Engine` costs nothing
    import numpy as np
    from numpy.typing import NDArray

    from penstock.detector import Detector
    from penstock.engine.backfill import FeatureBackfill
    from penstock.engine.challenger import Challenger
    from penstock.engine.personal_data import OnPersonal
    from penstock.expressions import Members
    from penstock.ingest import Read
    from penstock.ledger import Answered, Label, Ledger, Quarantined, Tables
    from penstock.messages import Decision, Record, Refusal
    from penstock.models import Ensemble
    from penstock.rules import Rule

OnDurable = Callable[[BaseException | None], None]

_CHUNK = 1024


class Engine:
    """Decides transactions of one detector.

    >>> from penstock.testing import example_detector
    >>> engine = Engine(example_detector())
    >>> engine.decide({"transaction_id": "t1", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}).decision
    'APPROVE'

    Args:
        detector: what is decided.
        models: a folder of model bundles, whose champion for this detector decides; or an `Ensemble`.
        data: the folder that keeps ledger, state and models; in memory where it is None.
        wait_for_models: be not ready, rather than raise, while declared models have no bundle.
        ledger: where decisions go, instead of a folder or memory of its own.
        clock: tells the arrival of events.
        memory_limit_gb: the most memory that the state may take, unlimited where it is None; events of new keys are decided by
            the policy's `on_failure` while it is used up.
        segment_mb: the size at which a ledger file is sealed.
        snapshot_every_s: the least time between snapshots of the state.
        personal_key: the secret behind tokens of personal fields; made in the data folder where it is None.
        on_personal: given what personal fields said, to be kept where it can be erased; nobody keeps it otherwise.
        quarantine_kept: how many refused events stay in quarantine, the newest.
        on_close: called when the engine has let go of its ledger.

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
        from penstock.engine.decide import BatchDecider
        from penstock.engine.decision_history import History
        from penstock.engine.deduplication import Deduplicator
        from penstock.engine.label_outcomes import LabelOutcomes
        from penstock.engine.labels import LabelStore
        from penstock.engine.personal_data import Personal
        from penstock.engine.pipeline import Pipeline
        from penstock.engine.quarantine import QuarantineWriter
        from penstock.engine.queries import EngineQueries
        from penstock.engine.rebuild import Rebuild
        from penstock.engine.recent_decisions import RecentDecisions
        from penstock.engine.recovery import Recovery
        from penstock.engine.startup import ensemble_of, ledger_of, personal_key_of
        from penstock.engine.statistics.distribution import category_of, worth_of
        from penstock.engine.statistics.totals import Totals
        from penstock.engine.statistics.trials import TrialStatistics
        from penstock.ingest import Reader
        from penstock.messages import Decision

        self.detector = detector
        self.clock = clock
        self._decode = msgspec.json.Decoder(Decision).decode
        self.folder = Path(data) if data is not None else None
        ensemble = ensemble_of(detector, models, self.folder, wait=wait_for_models)
        self.memory_limit = int(memory_limit_gb * 2**30) if memory_limit_gb else None
        self.pipeline = Pipeline(detector, ensemble, memory_limit=self.memory_limit)
        key = personal_key or (personal_key_of(self.folder, ledger) if detector.schema.personal else None)
        self._owns_ledger = ledger is None
        self._on_close = on_close
        self._closed = False
        self.ledger = ledger or ledger_of(self.folder, segment_mb, clock)
        self.rebuild = Rebuild(self.pipeline, self.ledger)
        remember = on_personal is not None
        self.reader = Reader(detector.schema, detector.plan.layout, personal_key=key, remember=remember)
        self.personal = Personal(self, on_personal)
        worth, self.currency = worth_of(detector)
        self.totals = Totals(worth, detector.plan.layout, clock, category_of(detector))
        self.trials = TrialStatistics(clock)
        self.label_store = LabelStore(self)
        self.queries = EngineQueries(self)
        self.history = History(self)
        self.label_outcomes = LabelOutcomes(self)
        self.recent_decisions = RecentDecisions(self)
        self.deduplicator = Deduplicator(self)
        self.quarantine = QuarantineWriter(self, quarantine_kept)
        self._waiting_for_models = bool(detector.models) and ensemble is None
        self._versions()
        self.recovery = Recovery(self, self.folder, snapshot_every_s)
        self.recovery.recover()
        self.recent_decisions.begin(self.ledger.next_seq)
        self.claims = self.ledger.claims(detector.name, detector.dedupe_us)
        observers = self.personal, self.totals, self.recent_decisions, self.trials, self.recovery
        self.decider = BatchDecider(self, observers)

    # ---- what is served

    @property
    def version(self) -> str:
        """The version of the detector's declaration."""
        return self.detector.version

    @property
    def model_version(self) -> str | None:
        """The version of the models that decide."""
        return self.pipeline.ensemble.version if self.pipeline.ensemble else None

    @property
    def event_type(self) -> type[msgspec.Struct]:
        """The Struct of a transaction."""
        return self.detector.event

    @property
    def informs(self) -> list[str]:
        """The values of `type` that mark informing events."""
        return [event.__name__ for event in self.detector.informs]

    @property
    def ready(self) -> str | None:
        """None, or why nothing can be decided."""
        if self._waiting_for_models:
            return f"no model has been trained yet: penstock train {self.detector.name} --data FILE --save"
        return None

    @property
    def trouble(self) -> LedgerError | None:
        """Why nothing can be made durable now; None where it can."""
        return self.ledger.trouble

    @property
    def degraded(self) -> str | None:
        """None, or why some decisions are the policy's `on_failure` although nothing has failed."""
        return self.pipeline.state.full

    def use(self, ensemble: Ensemble) -> None:
        """Let these models decide from the next batch on; requests in between notice nothing.

        Raises:
            BundleError: they do not fit this detector's features.
        """
        self.pipeline.use(ensemble)
        self._waiting_for_models = False
        self._versions()

    def challenge(self, *challengers: Challenger) -> None:
        """Try these beside the models that decide, from the next batch on, and no others; none ends that.

        Raises:
            BundleError: one does not fit this detector's features.
            DeclarationError: they cannot be tried together, or the keys of a share cannot be shared out.
        """
        self.pipeline.challenge(*challengers)
        self._versions()

    def use_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members] | None = None) -> None:
        """Let these rules decide from the next batch on, all of them at once; state and models go on.

        lists: what they ask; as before unless given.

        Raises:
            DeclarationError: one of them cannot work; nothing has changed.
        """
        self.detector = self.detector.with_rules(rules, lists)
        self.pipeline.change(self.detector)
        self.reader.use(self.detector.plan.layout)
        self._versions()

    def activate_features(self, filling: FeatureBackfill) -> None:
        """Let another version of the detector decide from the next batch on, whose state was filled beside this one.

        Rules, lists, models and trials go on, also those that changed meanwhile.

        Raises:
            DeclarationError, BundleError: they do not fit it; nothing has changed.
        """
        from penstock.engine.rebuild import Rebuild

        path, detector = filling.finish(), filling.pipeline.detector
        if (detector.rules, detector.lists) != (self.detector.rules, self.detector.lists):
            path.change(detector.with_rules(self.detector.rules, self.detector.lists))
        path.use(self.pipeline.ensemble)
        path.challenge(*self.pipeline.challengers)
        path.state.memory_limit = self.memory_limit
        self.pipeline, self.detector = path, path.detector
        self.rebuild = Rebuild(path, self.ledger)
        self.reader.use(self.detector.plan.layout)
        self.recovery.renew()
        self._versions()

    def _versions(self) -> None:
        """Everything that depends on which detector, models and rules decide."""
        from penstock.engine.record_format import RecordFormat
        from penstock.features.definitions import to_plain
        from penstock.ledger import DetectorVersion
        from penstock.messages import Versions

        ensemble, plan = self.pipeline.ensemble, self.detector.plan
        self.versions = Versions(self.version, self.model_version, plan.rules.version, plan.rules.lists or msgspec.UNSET)
        self.plain_versions = msgspec.to_builtins(self.versions)
        self.voices = RecordFormat(self, self.versions)
        self.layout_id, self.renderer = self.voices.layout_id, self.voices.renderer
        self.ledger.register_layout(self.layout_id, self.voices.fields)
        self.trials.use(self.voices.trials)
        declared = {
            "layout": self.layout_id,
            "features": list(plan.features),
            "members": list(self.pipeline.members),
            "state": self.detector.state_fingerprint,
            "usual": ensemble.usual_values() if ensemble else {},
            "rules": msgspec.to_builtins(self.detector.rules),
            "added": [[each.name, to_plain(each.described)] for each in self.detector.added],
        }
        version = f"{self.version}/{self.model_version}"
        self.ledger.tables.put_version(DetectorVersion(self.detector.name, version, declared, self.clock()))

    # ---- deciding

    def decide(self, event: Mapping[str, Any] | msgspec.Struct, *, dry_run: bool = False) -> Decision:
        """Decide one transaction; durable when this returns. A dry run changes and records nothing.

        Raises:
            MalformedEvent: the event is refused.
            NotReady: declared models are missing.
            LedgerError: the decision cannot be made durable.
        """
        read = self._read_objects([event])
        for row, refusal in read.refused:
            _raise(row, refusal)
        [answer] = self.decider.decide(read, 1, dry_run=dry_run)
        if not isinstance(answer, bytes):
            _raise(0, answer)
        if not dry_run:
            self.ledger.flush()
        return self._decode(answer)

    def decide_many(
        self, events: Any, *, dry_run: bool = False, on_refused: Callable[[int, Refusal], None] | None = None
    ) -> list[Decision]:
        """Decide a list of events, or a polars frame, in arrival order; all durable when this returns.

        Raises:
            MalformedEvent: an event is refused, unless `on_refused(row, refusal)` takes it; the others are decided.
        """
        decisions: list[Decision] = []
        frame = hasattr(events, "iter_slices")
        pieces = events.iter_slices(_CHUNK) if frame else (events[i : i + _CHUNK] for i in range(0, len(events), _CHUNK))
        first = 0
        for piece in pieces:
            if frame:
                read = self.reader.read_frame(piece, name=f"frame-{self.ledger.next_seq - first}", first=first + 1)
            else:
                read = self._read_objects(piece)
            for row, refusal in read.refused:
                (on_refused or _raise)(first + row, refusal)
            refused = {row for row, _ in read.refused}
            for row, answer in enumerate(self.decider.decide(read, len(piece), dry_run=dry_run)):
                if isinstance(answer, bytes):
                    decisions.append(self._decode(answer))
                elif row not in refused:
                    (on_refused or _raise)(first + row, answer)
            first += len(piece)
        if not dry_run:
            self.ledger.flush()
        return decisions

    def _read_objects(self, events: Sequence[Any]) -> Read:
        """Read Python objects; dicts go the way of JSON, which costs a quarter of looking at each value."""
        if set(map(type, events)) == {dict}:
            with suppress(TypeError, ValueError, msgspec.MsgspecError):  # a value that JSON cannot say
                return self.reader.read([_encode(event) for event in events], self.clock())
        return self.reader.read_objects(events, self.clock())

    def decide_json(
        self, bodies: Sequence[bytes], *, dry_run: bool = False, on_durable: OnDurable | None = None
    ) -> list[bytes | Refusal]:
        """Decide one micro-batch of JSON objects, in order; `on_durable` is called when all of it survives a crash."""
        started = time.perf_counter_ns()
        read = self.reader.read(bodies, self.clock())
        if not dry_run:
            self.quarantine.keep(bodies, read)
        return self.decider.decide(read, len(bodies), dry_run=dry_run, on_durable=on_durable, started_ns=started)

    def take_json(self, bodies: Sequence[bytes], arrived_us: NDArray[np.int64]) -> tuple[list[Refusal], list[Quarantined]]:
        """Take in transactions and informing events as they came from a broker, each with the time of its arrival.

        New decisions go to the observers. Returns what was refused, and the malformed ones as they are to be kept, which is
        left to the caller.
        """
        import numpy as np

        from penstock.engine.reads import chosen, runs

        started = time.perf_counter_ns()
        read = self.reader.read(bodies, arrived_us)
        refused = [refusal for _, refusal in read.refused]
        for rows in runs(read.batch.kinds > 0):
            part = replace(chosen(read, rows) if len(rows) < len(read.batch) else read, rows=np.arange(len(rows)), refused=[])
            if read.batch.kinds[rows[0]]:
                self.decider.apply(part, "informing", None)
            else:
                answers = self.decider.decide(part, len(rows), started_ns=started)
                refused += [answer for answer in answers if not isinstance(answer, bytes)]
        return refused, self.quarantine.of(bodies, read)

    def follow(self, record: Record) -> None:
        """Take in a record that the owner of this detector has written: state and ledger become as they are there."""
        self.recovery.follow(record)

    # ---- informing events, history and labels

    def inform(self, event: Mapping[str, Any] | msgspec.Struct) -> None:
        """Take in an informing event; durable when this returns.

        Raises:
            MalformedEvent: the event is refused.
        """
        read = self.reader.read_objects([event], self.clock())
        for row, refusal in [*read.refused, *self.not_informing(read)]:
            _raise(row, refusal)
        self.decider.apply(read, "informing", None)
        self.ledger.flush()

    def inform_json(self, bodies: Sequence[bytes], *, on_durable: OnDurable | None = None) -> list[Refusal | None]:
        """Take in informing events as JSON, in order; None where one was accepted."""
        import numpy as np

        from penstock.engine.reads import chosen

        if self.ledger.trouble is not None:
            raise self.ledger.trouble
        read = self.reader.read(bodies, self.clock())
        answers: list[Refusal | None] = [None] * len(bodies)
        for row, refusal in [*read.refused, *self.not_informing(read)]:
            answers[row] = refusal
        self.quarantine.keep(bodies, read)
        keep = np.flatnonzero(read.batch.kinds > 0)
        self.decider.apply(chosen(read, keep) if len(keep) < len(read.batch) else read, "informing", on_durable)
        return answers

    def not_informing(self, read: Read) -> list[tuple[int, Refusal]]:
        """Refusals for those that are transactions."""
        import numpy as np

        from penstock.messages import Refusal

        names = ", ".join(self.informs) or "none"
        text = f"this is a transaction, which is decided by POST /predict; informing events carry a type, one of: {names}"
        return [(int(read.rows[row]), Refusal(422, text, (("type", text),))) for row in np.flatnonzero(read.batch.kinds == 0)]

    def load(self, read: Read) -> int:
        """Warm the state with recorded history: no decisions, no answers. Returns the number of new events."""
        return self.decider.apply(read, "loaded", None)

    def label(
        self, transaction_id: str, *, fraud: bool, at: datetime | None = None, kind: str | None = None, source: str = "unknown"
    ) -> None:
        """Say what a transaction turned out to be; it becomes known at `at` (now, where it is None).

        Raises:
            MalformedEvent: there is no such transaction.
        """
        from penstock.engine.labels import Statement
        from penstock.messages import Refusal

        known_us = to_us(at) if at is not None else None
        [told] = self.label_store.submit([Statement(transaction_id, fraud, kind=kind, known_us=known_us, source=source)])
        if isinstance(told, Refusal):
            raise MalformedEvent(told.detail, "transaction_id")
        self.ledger.flush()

    def label_json(self, body: bytes, *, on_durable: OnDurable | None = None) -> list[dict[str, Any] | Refusal]:
        """Take in one label as JSON, or an array of them, in order."""
        from penstock.engine.labels import answer_of

        [told] = self.label_all_json([body])
        if on_durable is not None:
            self.ledger.when_durable(on_durable)
        return [answer_of(each) for each in told]

    def label_all_json(self, bodies: Sequence[bytes]) -> list[list[Label | Refusal]]:
        """Take in labels as they came from a broker: for each body, one label or an array of them, what was accepted."""
        return self.label_store.submit_json(bodies)

    def check_json(self, body: bytes) -> Refusal | None:
        """Why this event would be refused for what it says; None where it would be taken. Nothing is changed or kept."""
        read = self.reader.read([body], self.clock())
        return read.refused[0][1] if read.refused else None

    def set_aside(self, body: bytes, refusal: Refusal, *, nobodys: bool = False) -> None:
        """Keep in quarantine what was refused before it came here; nobodys: no detector could be found for it."""
        self.quarantine.put([(body, refusal)], "" if nobodys else None)

    # ---- looking

    @property
    def tables(self) -> Tables:
        """What is looked up beside the log: quarantine, alerts, labels. For any thread."""
        return self.ledger.tables

    def names_of(self, record: Record) -> list[str] | None:
        """What the matrix columns of a stored record are called; None where they are today's."""
        return self.queries.names_of(record)

    def transaction(self, transaction_id: str) -> bytes | None:
        """The recorded decision as JSON, with what became known of it since."""
        return self.queries.transaction(transaction_id)

    def transactions(self, **filters: Any) -> tuple[list[bytes], str | None]:
        """Recorded decisions, newest first: see `listing.transactions`."""
        from penstock.engine import decision_list

        return decision_list.transactions(self, **filters)

    def entity(self, entity: str, key: str) -> dict[str, Any] | None:
        """The current features of one key: see `look.EngineQueries.entity`."""
        return self.queries.entity(entity, key)

    @property
    def entities(self) -> list[str]:
        """What features are computed of, in the order of their declaration."""
        return [table.plan.entity.name for table in self.pipeline.state.tables]

    def outcome(self, transaction_id: str) -> dict[str, Any] | None:
        """What became of a transaction: see `history.History.outcome`."""
        return self.history.outcome(transaction_id)

    def answered(self, transaction_id: str) -> Answered | None:
        """What a caller was told in place of the decision, where that did not come in time."""
        return self.ledger.tables.answer_of(self.detector.name, transaction_id)

    def decided_about(self, entity: str, key: str) -> dict[str, Any]:
        """What was decided about one key: see `history.History.of_key`."""
        return self.history.of_key(entity, key)

    def series(self) -> dict[str, Any]:
        """Counts and money by minute and by hour: see `series.Series.form`."""
        return self.totals.series()

    def stats(self) -> dict[str, Any]:
        """Counts, money and latencies since the beginning of this data folder."""
        return self.totals.stats() | {"currency": self.currency}

    def describe(self) -> dict[str, Any]:
        """What is served."""
        return self.queries.describe()

    @property
    def metrics(self) -> Mapping[str, float]:
        """Counters since the start, by name."""
        state = self.pipeline.state
        return self.totals.metrics() | {
            "state_bytes": float(state.used_bytes),
            "memory_refused": float(state.refused),
            "ledger_cut_bytes": float(getattr(self.ledger, "cut_bytes", 0)),  # of files alone
        }

    # ---- the end

    def close(self) -> None:
        """Make everything durable, save the state and let go of the data folder. Closing twice is fine.

        Raises:
            LedgerError: the device refused; what was acknowledged is durable all the same.
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

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_encode = msgspec.json.Encoder().encode


def _raise(_row: int, refusal: Refusal) -> NoReturn:
    raise MalformedEvent(refusal.detail, refusal.errors[0][0] if refusal.errors else None)
