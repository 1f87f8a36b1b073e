"""Verification: a recorded decision computed again from the log, and compared to the last bit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock, system_clock
from penstock.decision import contributions_of, versions_of
from penstock.decision.policy import ORDERS
from penstock.decision.split_renderer import by_challenger, deciding_version
from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.engine import records
from penstock.engine.engine import Engine
from penstock.engine.keys.index import KeyIndex, NeedsWholeLog
from penstock.engine.keys.replay import KeyReplay
from penstock.engine.pipeline import BatchResult
from penstock.engine.rebuild import ENTERED, Rebuild
from penstock.engine.trials.challenger import Challenger, model_trial
from penstock.errors import BundleError, DataError, DeclarationError
from penstock.expressions import Members
from penstock.features.definitions import Added, read_described
from penstock.ledger import Ledger
from penstock.ledger.port import DECISIONS
from penstock.messages import Record, Versions
from penstock.models import Ensemble, load_bundle
from penstock.rules import KeyShare, Rule

_TRIES = 50
"""Rows of the log that are looked at for each decision of a sample: others may be labels, or of another detector."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a decision came out the same; differences: column, recorded value, recomputed value.

    events_replayed: those that rebuilt the state before it. way: which these are: `keys`, the events of its keys that its
    features depend on; `log`, all events of the log before it. whole_log: why these were needed although there is an index.
    """

    transaction_id: str
    differences: tuple[tuple[str, Any, Any], ...]
    events_replayed: int
    way: Literal["keys", "log"] = "log"
    whole_log: str | None = None

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class SampleVerification:
    """Decisions of a sample, computed again in one pass over the log.

    verified: one for each that could be computed. unverifiable: ids of the others, and why. log_events: rows of the log.
    """

    verified: tuple[Verification, ...]
    unverifiable: tuple[tuple[str, str], ...]
    log_events: int

    @property
    def differing(self) -> tuple[Verification, ...]:
        """Those that did not come out the same."""
        return tuple(each for each in self.verified if not each.identical)


ListAt = Callable[[str, str], Members | None]
"""Asked with the name and version of a list: what was on it then; None where nobody knows."""


def verify(
    ledger: Ledger,
    detector: Detector,
    transaction_id: str,
    models: Path | None,
    *,
    list_at: ListAt = lambda _name, _version: None,
    clock: Clock = system_clock,
    index: KeyIndex | None = None,
) -> Verification:
    """Compute a recorded decision again: the log up to it rebuilds the state, the models that decided score again.

    With an index of the log's keys, the events of its keys do; where something differs then, or they are not enough, the
    whole log before it decides.

    Args:
        ledger: holds the decision and everything before it; may be open for reading only.
        detector: as it was then, but for rules that people change: those of the decision stand in the ledger.
        transaction_id: of the decision.
        models: the folder of model bundles.
        list_at: knows what lists were, where they are not as the detector declares them.
        clock: tells nothing that the decision depends on.
        index: of the ledger's keys.

    Raises:
        DataError: there is no such decision, or the log or the detector has changed too much to repeat it.
        BundleError: the models that decided are gone.
    """
    found = ledger.find(detector.name, transaction_id)
    if found is None:
        raise DataError(f"there is no decision {transaction_id!r} of detector {detector.name!r} in this ledger")
    recorded, row = found
    again, why = _Again(ledger, detector, recorded, row, models, list_at, clock), None
    if index is not None:
        try:
            alone = again.decide_alone(recorded, row, index)
            if alone.identical:
                return alone
            why = f"{alone.differences[0][0]} differs after the events of its keys"
        except (NeedsWholeLog, OSError) as error:
            why = str(error)
        again = _Again(ledger, detector, recorded, row, models, list_at, clock)
    for _, record in ledger.read():
        if record.first_seq >= recorded.first_seq:
            break
        again.apply(record)
    return replace(again.decide(recorded, [row])[0], whole_log=why)


def verify_sample(
    ledger: Ledger,
    detector: Detector,
    count: int,
    models: Path | None,
    *,
    list_at: ListAt = lambda _name, _version: None,
    clock: Clock = system_clock,
    seed: int | None = None,
) -> SampleVerification:
    """Compute so many decisions, chosen at random over the whole log, again in one pass over it; see `verify`.

    What was decided by several versions of the detector, its models or its lists is computed beside one another.

    Raises:
        DataError: the ledger holds no decision of this detector.
    """
    chosen = _chosen(ledger, detector.name, count, np.random.default_rng(seed))
    if not chosen:
        raise DataError(f"there is no decision of detector {detector.name!r} in this ledger")
    ways: dict[bytes, _Again] = {}
    verified, unverifiable = [], []
    for recorded, rows in list(chosen.values()):
        way = _way_of(recorded)
        try:
            if way not in ways:
                ways[way] = _Again(ledger, detector, recorded, rows[0], models, list_at, clock)
        except (DataError, BundleError, DeclarationError) as error:
            unverifiable += [(recorded.ids[row], str(error)) for row in rows]
            del chosen[recorded.first_seq]
    newest = max(chosen, default=-1)
    for _, record in ledger.read():
        if record.first_seq > newest:
            break
        of_sample = chosen.get(record.first_seq)
        for way, again in ways.items():
            if of_sample is not None and way == _way_of(record):
                verified += again.decide(record, of_sample[1])
            else:
                again.apply(record)
    return SampleVerification(tuple(verified), tuple(unverifiable), ledger.next_seq)


def _chosen(ledger: Ledger, name: str, count: int, rng: np.random.Generator) -> dict[int, tuple[Record, list[int]]]:
    """Records with decisions of a detector, and rows of them, by the sequence number of the first row."""
    chosen: dict[int, tuple[Record, list[int]]] = {}
    stop = ledger.next_seq
    seqs = rng.permutation(stop) if stop <= _TRIES * count else rng.integers(0, stop, _TRIES * count)
    left = count
    for seq in dict.fromkeys(seqs.tolist()):
        found = ledger.record_of(seq) if left else None
        if found is not None and found[0].kind in DECISIONS and found[0].detector == name:
            chosen.setdefault(found[0].first_seq, (found[0], []))[1].append(found[1])
            left -= 1
    return chosen


def _way_of(recorded: Record) -> bytes:
    """The key of records that one engine can recompute together."""
    meta = recorded.meta
    return msgspec.msgpack.encode((meta.get("versions"), meta.get("trial"), sorted(_failed(recorded))))


class _Again:
    """An engine as it was when a record was decided, with a state that is rebuilt from the log.

    Raises:
        DataError: the log or the detector has changed too much to repeat it.
        BundleError: the models that decided are gone.
    """

    def __init__(
        self,
        ledger: Ledger,
        detector: Detector,
        recorded: Record,
        row: int,
        models: Path | None,
        list_at: ListAt,
        clock: Clock,
    ) -> None:
        versions = versions_of(recorded)
        detector = _as_then(ledger, detector, versions, list_at, recorded.ids[row])
        if ledger.first_position > 0:
            raise DataError(
                f"the log begins at record {ledger.first_position}: the state of that time cannot be rebuilt from it"
            )
        self._engine = Engine(detector, models=_models(models, detector, versions.model), wait_for_models=True, clock=clock)
        self._engine.challenge(*_challengers(models, detector, recorded))
        self._rebuild, self._events, self._ledger = Rebuild(self._engine.pipeline, ledger), 0, ledger

    def apply(self, record: Record) -> None:
        """Let a record into state; labels are expected as they were."""
        if record.detector == self._engine.detector.name:
            self._rebuild.apply(record)
            self._events += len(record) if record.kind in ENTERED else 0

    def decide(self, recorded: Record, rows: Sequence[int]) -> list[Verification]:
        """Decide the record that comes next, and compare some of its rows."""
        engine, events = self._engine, self._events
        batch = records.batch_of(recorded, engine.detector, None)
        judged = engine.pipeline.decide(batch, recorded.first_seq, closed=records.closed_of(recorded))
        self._events += len(recorded)
        return [Verification(recorded.ids[row], tuple(_compared(engine, recorded, judged, row, row)), events) for row in rows]

    def decide_alone(self, recorded: Record, row: int, index: KeyIndex) -> Verification:
        """Decide one row after the events of its keys alone, from an empty state, and compare it.

        Raises:
            NeedsWholeLog: they are not enough.
        """
        engine = self._engine
        replay = KeyReplay(engine.pipeline, self._ledger, index)
        judged = engine.pipeline.score_and_decide(replay.features(recorded, row), time.perf_counter_ns())
        differences = tuple(_compared(engine, recorded, judged, row, 0))
        return Verification(recorded.ids[row], differences, replay.events, "keys")


def _compared(engine: Engine, recorded: Record, judged: BatchResult, row: int, fresh_row: int) -> list[tuple[str, Any, Any]]:
    """The differences of one row: column, recorded value, recomputed value."""
    fresh: dict[str, NDArray[Any]] = {
        "scores": judged.scores,
        "action": judged.verdicts.action,
        "by": judged.verdicts.by,
        "x": judged.batch.x,
    }
    if judged.verdicts.lowered is not None:
        fresh["lowered"] = judged.verdicts.lowered
    if judged.verdicts.control is not None:
        fresh["control"] = judged.verdicts.control
    tried = judged.tried
    if tried is not None and not _failed(recorded):
        fresh |= {"would": tried.would} if tried.scores is None else {"would": tried.would, "trial_scores": tried.scores}
    differences = [
        d for name, column in fresh.items() for d in _differences(engine, name, recorded.columns[name], row, column, fresh_row)
    ]
    again = _moved(judged.explained, judged.contributions)
    before = contributions_of(recorded)
    if tried is not None:
        before, again = before | contributions_of(by_challenger(recorded)), again | _moved(tried.explained, tried.contributions)
    if before.get(row) != again.get(fresh_row):
        differences.append(("contributions", before.get(row), again.get(fresh_row)))
    return differences


def _as_then(ledger: Ledger, detector: Detector, versions: Versions, list_at: ListAt, transaction_id: str) -> Detector:
    """The detector with the rules, lists and order of the policy that decided: its version says which order that is."""
    lists = dict(detector.lists)
    for text in versions.lists.split(", ") if isinstance(versions.lists, str) else ():
        name, _, version = text.partition(" ")
        found = lists[name] if name in lists and lists[name].version == version else list_at(name, version)
        if found is None or found.version != version:
            raise DataError(f"{transaction_id!r} was decided by version {version} of the list {name!r}, which is not here")
        lists[name] = found
    key = f"{versions.detector}/{versions.model}"
    declared = [each.declared for each in ledger.tables.versions(detector.name) if each.version == key]
    declared_features: list[tuple[str, Any]] = next((each["added"] for each in declared if "added" in each), [])
    added = tuple(Added(name, read_described(body, name)) for name, body in declared_features)
    if added != detector.added:
        detector = detector.with_rules([]).with_features(added)
    rules = next((each["rules"] for each in declared if "rules" in each), None)
    if rules is not None or isinstance(versions.lists, str):
        detector = detector.with_rules(detector.rules if rules is None else msgspec.convert(rules, prepared(list[Rule])), lists)
    detector = next((each for each in map(detector.with_order, ORDERS) if each.version == versions.detector), detector)
    if versions.detector != detector.version:
        raise DataError(
            f"{transaction_id!r} was decided by version {versions.detector} of {detector.name!r}; this is {detector.version}: "
            "verify it with the detector file of that time"
        )
    return detector


def _models(folder: Path | None, detector: Detector, version: str | None) -> Ensemble | None:
    if version is None:
        return None
    if folder is None or not (folder / detector.name / version).exists():
        raise BundleError(f"the models that decided, version {version}, are not in {folder}; name their folder with --models")
    return load_bundle(folder / detector.name / version)


def _challengers(folder: Path | None, detector: Detector, recorded: Record) -> list[Challenger]:
    """What was tried next to the models that decided; where one failed then, it decided nothing."""
    trial, deciding, failed = dict(recorded.meta.get("trial") or {}), deciding_version(recorded), _failed(recorded)
    trial.pop("version", None)
    found = []
    for version in (recorded.meta["versions"].get("challenger") or "").split(", "):
        ensemble = _models(folder, detector, version or None)
        if ensemble is None:
            continue
        share = KeyShare(**trial) if trial and version == deciding else None
        if share is not None and failed & {version, model_trial(version)}:
            share = replace(share, end=share.begin)
        found.append(Challenger(ensemble, share))
    return found


def _failed(recorded: Record) -> set[str]:
    """The candidates that could not judge; records of before there were several name a version."""
    failed = set(recorded.meta.get("trial_errors", ()))
    return failed | ({str(deciding_version(recorded))} if "challenger_error" in recorded.meta else set())


def _moved(rows: NDArray[np.int32], contributions: NDArray[np.float64]) -> dict[int, list[float]]:
    return dict(zip(rows.tolist(), contributions.astype(np.float32).tolist(), strict=True))


def _differences(
    engine: Engine, name: str, stored: Any, row: int, fresh: NDArray[Any], fresh_row: int
) -> list[tuple[str, Any, Any]]:
    """Values of one row that are not the same bits; two nulls are the same."""
    before, after = (np.atleast_1d(each).astype(np.float64) for each in (stored[row], fresh[fresh_row]))
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    names = engine.queries.columns if name == "x" else [f"{name}.{i}" for i in range(len(before))]
    return [(names[i], float(before[i]), float(after[i])) for i in np.flatnonzero(~same).tolist()]
