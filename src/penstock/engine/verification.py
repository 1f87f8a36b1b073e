"""Verification: a recorded decision computed again from the log, and compared to the last bit."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock, system_clock
from penstock.decision import contributions_of, versions_of
from penstock.decision.policy import ORDERS
from penstock.decision.split_renderer import by_challenger, deciding_version
from penstock.detector import Detector
from penstock.engine import records
from penstock.engine.engine import Engine
from penstock.engine.rebuild import ENTERED, Rebuild
from penstock.engine.trials.challenger import Challenger, model_trial
from penstock.errors import BundleError, DataError
from penstock.expressions import Members
from penstock.features.definitions import Added, read_described
from penstock.ledger import Ledger
from penstock.messages import Record, Versions
from penstock.models import Ensemble, load_bundle
from penstock.rules import Rule, Share


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a decision came out the same; differences: column, recorded value, recomputed value."""

    transaction_id: str
    differences: tuple[tuple[str, Any, Any], ...]
    events_replayed: int

    @property
    def identical(self) -> bool:
        """Nothing differs."""
        return not self.differences


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
) -> Verification:
    """Compute a recorded decision again: the log up to it rebuilds the state, the models that decided score again.

    Args:
        ledger: holds the decision and everything before it; may be open for reading only.
        detector: as it was then, but for rules that people change: those of the decision stand in the ledger.
        transaction_id: of the decision.
        models: the folder of model bundles.
        list_at: knows what lists were, where they are not as the detector declares them.
        clock: tells nothing that the decision depends on.

    Raises:
        DataError: there is no such decision, or the log or the detector has changed too much to repeat it.
        BundleError: the models that decided are gone.
    """
    found = ledger.find(detector.name, transaction_id)
    if found is None:
        raise DataError(f"there is no decision {transaction_id!r} of detector {detector.name!r} in this ledger")
    recorded, row = found
    versions = versions_of(recorded)
    detector = _as_then(ledger, detector, versions, list_at, transaction_id)
    if ledger.first_position > 0:
        raise DataError(f"the log begins at record {ledger.first_position}: the state of that time cannot be rebuilt from it")
    engine = Engine(detector, models=_models(models, detector, versions.model), wait_for_models=True, clock=clock)
    engine.challenge(*_challengers(models, detector, recorded))
    events = _rebuild(engine, ledger, recorded)
    batch = records.batch_of(recorded, detector, None)
    judged = engine.pipeline.decide(batch, recorded.first_seq, closed=records.closed_of(recorded))
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
    differences = [d for name, column in fresh.items() for d in _differences(engine, name, recorded, column, row)]
    again = _moved(judged.explained, judged.contributions)
    before = contributions_of(recorded)
    if tried is not None:
        before, again = before | contributions_of(by_challenger(recorded)), again | _moved(tried.explained, tried.contributions)
    if before.get(row) != again.get(row):
        differences.append(("contributions", before.get(row), again.get(row)))
    return Verification(transaction_id, tuple(differences), events)


def _as_then(ledger: Ledger, detector: Detector, versions: Versions, list_at: ListAt, transaction_id: str) -> Detector:
    """The detector with the rules, lists and order of the policy that decided: its version says which order that is."""
    lists = dict(detector.lists)
    for told in versions.lists.split(", ") if isinstance(versions.lists, str) else ():
        name, _, version = told.partition(" ")
        found = lists[name] if name in lists and lists[name].version == version else list_at(name, version)
        if found is None or found.version != version:
            raise DataError(f"{transaction_id!r} was decided by version {version} of the list {name!r}, which is not here")
        lists[name] = found
    key = f"{versions.detector}/{versions.model}"
    declared = [each.declared for each in ledger.tables.versions(detector.name) if each.version == key]
    told_of: list[tuple[str, Any]] = next((each["added"] for each in declared if "added" in each), [])
    added = tuple(Added(name, read_described(told, name)) for name, told in told_of)
    if added != detector.added:
        detector = detector.with_rules([]).with_features(added)
    rules = next((each["rules"] for each in declared if "rules" in each), None)
    if rules is not None or isinstance(versions.lists, str):
        detector = detector.with_rules(detector.rules if rules is None else msgspec.convert(rules, list[Rule]), lists)
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
    """What was tried beside the models that decided; where one failed then, it decided nothing."""
    trial, deciding, failed = dict(recorded.meta.get("trial") or {}), deciding_version(recorded), _failed(recorded)
    trial.pop("version", None)
    found = []
    for version in (recorded.meta["versions"].get("challenger") or "").split(", "):
        ensemble = _models(folder, detector, version or None)
        if ensemble is None:
            continue
        share = Share(**trial) if trial and version == deciding else None
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


def _rebuild(engine: Engine, ledger: Ledger, until: Record) -> int:
    """Bring the state to the moment before a record; labels in between are expected as they were."""
    rebuilding, events = Rebuild(engine.pipeline, ledger), 0
    for _, record in ledger.read():
        if record.first_seq >= until.first_seq:
            return events
        if record.detector == engine.detector.name:
            rebuilding.apply(record)
            events += len(record) if record.kind in ENTERED else 0
    return events


def _differences(engine: Engine, name: str, recorded: Record, fresh: NDArray[Any], row: int) -> list[tuple[str, Any, Any]]:
    """Values of one row that are not the same bits; two nulls are the same."""
    stored: Any = recorded.columns[name]
    before, after = np.atleast_1d(stored[row]).astype(np.float64), np.atleast_1d(fresh[row]).astype(np.float64)
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    names = engine.queries.columns if name == "x" else [f"{name}.{i}" for i in range(len(before))]
    return [(names[i], float(before[i]), float(after[i])) for i in np.flatnonzero(~same).tolist()]
