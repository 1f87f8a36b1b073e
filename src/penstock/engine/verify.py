"""Verification: a recorded decision computed again from the log, and compared to the last bit."""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock, system_clock
from penstock.decision import contributions_of, versions_of
from penstock.detector import Detector
from penstock.engine import records
from penstock.engine.engine import Engine
from penstock.errors import BundleError, DataError
from penstock.ledger import Ledger
from penstock.messages import Record
from penstock.models import Ensemble, load_bundle


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


def verify(
    ledger: Ledger, detector: Detector, transaction_id: str, models: FilePath | None, *, clock: Clock = system_clock
) -> Verification:
    """Compute a recorded decision again: the log up to it rebuilds the state, the models that decided score again.

    Args:
        ledger: holds the decision and everything before it; may be open for reading only.
        detector: as it was then.
        transaction_id: of the decision.
        models: the folder of model bundles.
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
    if versions.detector != detector.version:
        raise DataError(
            f"{transaction_id!r} was decided by version {versions.detector} of {detector.name!r}; this is {detector.version}: "
            "verify it with the detector file of that time"
        )
    if ledger.first_position > 0:
        raise DataError(f"the log begins at record {ledger.first_position}: the state of that time cannot be rebuilt from it")
    engine = Engine(detector, models=_models(models, detector, versions.model), wait_for_models=True, clock=clock)
    events = _rebuild(engine, ledger, recorded)
    batch = records.batch_of(recorded, detector, None)
    judged = engine.path.decide(batch, recorded.first_seq)
    fresh: dict[str, NDArray[Any]] = {
        "scores": judged.scores,
        "action": judged.verdicts.action,
        "by": judged.verdicts.by,
        "x": judged.batch.x,
    }
    differences = [d for name, column in fresh.items() for d in _differences(engine, name, recorded, column, row)]
    again = dict(zip(judged.explained.tolist(), judged.contributions.astype(np.float32).tolist(), strict=True))
    if contributions_of(recorded).get(row) != again.get(row):
        differences.append(("contributions", contributions_of(recorded).get(row), again.get(row)))
    return Verification(transaction_id, tuple(differences), events)


def _models(folder: FilePath | None, detector: Detector, version: str | None) -> Ensemble | None:
    if version is None:
        return None
    if folder is None or not (folder / detector.name / version).exists():
        raise BundleError(f"the models that decided, version {version}, are not in {folder}; name their folder with --models")
    return load_bundle(folder / detector.name / version)


def _rebuild(engine: Engine, ledger: Ledger, until: Record) -> int:
    """Bring the state to the moment before a record; labels in between are expected as they were."""
    events = 0
    for _, record in ledger.read():
        if record.first_seq >= until.first_seq:
            return events
        if record.detector != engine.detector.name:
            continue
        if record.kind == "labels":
            engine.truth.expect_all(record, ledger)
        elif record.kind in ("decisions", "informing", "loaded"):
            names = None if record.meta.get("layout") == until.meta.get("layout") else _names(ledger, record)
            engine.path.features(records.batch_of(record, engine.detector, names), record.first_seq, read=False)
            events += len(record)
    return events


def _names(ledger: Ledger, record: Record) -> list[str]:
    return [field.name for field in ledger.layouts()[record.meta["layout"]]["x"]]


def _differences(engine: Engine, name: str, recorded: Record, fresh: NDArray[Any], row: int) -> list[tuple[str, Any, Any]]:
    """Values of one row that are not the same bits; two nulls are the same."""
    stored: Any = recorded.columns[name]
    before, after = np.atleast_1d(stored[row]).astype(np.float64), np.atleast_1d(fresh[row]).astype(np.float64)
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    names = engine.look.columns if name == "x" else [f"{name}.{i}" for i in range(len(before))]
    return [(names[i], float(before[i]), float(after[i])) for i in np.flatnonzero(~same).tolist()]
