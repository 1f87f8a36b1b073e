"""Recorded decisions, shown and recomputed: from the log of a data folder, also while a service owns it.

Verifying a decision brings an engine to where it was when the decision was made, by replaying the log before it, and
decides the recorded event again. Identical means: every feature, rule, score and the decision, to the last bit.
"""

import bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.decision import TEXT, versions_of
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.records import batch_of
from penstock.errors import DataError
from penstock.ledger import Field, Ledger, MemoryLedger
from penstock.ledger.port import DECISIONS, Done
from penstock.messages import Action, Record
from penstock.models import Ensemble, load_bundle

_KEPT_RECORDS = 256


class Past(MemoryLedger):
    """A ledger as it was before a sequence number; what is looked up by id is found wherever it stands.

    Nothing can be appended, and what an engine notes in tables on its way stays in memory.
    """

    def __init__(self, ledger: Ledger, stop_seq: int) -> None:
        super().__init__()
        self._whole = ledger
        self._stop_seq = stop_seq
        self._starts: list[int] = []
        self._record_from = lru_cache(_KEPT_RECORDS)(ledger.record_of)

    @property
    def first_position(self) -> int:
        """As in the whole ledger."""
        return self._whole.first_position

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """The records before the sequence number."""
        for position, record in self._whole.read(from_position, kinds) if self._stop_seq else ():
            if record.first_seq >= self._stop_seq:
                return
            self._starts.append(record.first_seq)
            yield position, record

    def find(self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS) -> tuple[Record, int] | None:
        """As in the whole ledger."""
        return self._whole.find(detector, transaction_id, kinds)

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """As in the whole ledger; the labels of a recovery ask for the same records again and again."""
        start = bisect.bisect_right(self._starts, seq) - 1
        if start < 0:
            return self._whole.record_of(seq)
        found = self._record_from(self._starts[start])
        return (found[0], seq - found[0].first_seq) if found is not None else None

    def layouts(self) -> Mapping[str, Mapping[str, Sequence[Field]]]:
        """Those of the whole ledger, and what the engine of today added."""
        return {**super().layouts(), **self._whole.layouts()}

    def append(self, record: Record, done: Done | None = None) -> int:
        """Never: the past does not change."""
        raise NotImplementedError("a ledger of the past takes no records")


@dataclass(frozen=True)
class Difference:
    """One value that came out differently."""

    column: str
    recorded: Any
    recomputed: Any


@dataclass(frozen=True)
class Verdict:
    """Whether a decision could be repeated. obstacle: why it could not even be tried."""

    transaction_id: str
    identical: bool
    compared: int
    differences: list[Difference]
    obstacle: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def explain(detector: Detector, ledger: Ledger, transaction_id: str) -> bytes:
    """The recorded decision as JSON.

    Raises:
        DataError: there is none.
    """
    _recorded(detector, ledger, transaction_id)
    with Engine(detector, wait_for_models=True, ledger=Past(ledger, 0)) as engine:
        found = engine.transaction(transaction_id)
    assert found is not None
    return found


def verify(detector: Detector, ledger: Ledger, transaction_id: str, *, models: Path) -> Verdict:
    """Decide a recorded event again, in the state of that moment, and compare.

    Args:
        detector: as it is declared today.
        ledger: holds the decision.
        transaction_id: the event.
        models: the folder of bundles.

    Raises:
        DataError: there is no such decision.
        BundleError: the models that decided are not there any more.
    """
    record, row = _recorded(detector, ledger, transaction_id)
    obstacle = _obstacle(detector, ledger, record)
    if obstacle is not None:
        return Verdict(transaction_id, identical=False, compared=0, differences=[], obstacle=obstacle)
    ensemble = _ensemble(detector, record, models)
    with Engine(detector, models=ensemble, wait_for_models=True, ledger=Past(ledger, record.first_seq)) as engine:
        judged = engine.path.decide(batch_of(record, detector, engine.names_of(record)), record.first_seq)
        names = list(engine.look.columns)
    again: dict[str, Any] = {
        "x": judged.batch.x,
        "scores": judged.scores,
        "action": judged.verdicts.action,
        **{TEXT + name: texts for name, texts in judged.batch.texts.items()},
    }
    members = ensemble.names if ensemble else ()
    pairs = list(_pairs(record, again, row, names, ("score", *(f"score_{name}" for name in members))))
    differences = [Difference(*pair) for pair in pairs if not _same(pair[1], pair[2])]
    return Verdict(transaction_id, not differences, len(pairs), differences)


def _recorded(detector: Detector, ledger: Ledger, transaction_id: str) -> tuple[Record, int]:
    found = ledger.find(detector.name, transaction_id)
    if found is None:
        raise DataError(f"there is no decision about {transaction_id!r} of detector {detector.name!r} here")
    return found


def _obstacle(detector: Detector, ledger: Ledger, record: Record) -> str | None:
    decided_by = versions_of(record).detector
    if decided_by != detector.version:
        return f"it was decided by version {decided_by} of the detector, which is now declared as version {detector.version}"
    if ledger.first_position > 0:
        return "the log no longer holds what happened before it"
    if "degraded" in record.columns:
        return "a part had failed or run out of time when it was decided, which cannot be repeated"
    return None


def _ensemble(detector: Detector, record: Record, models: Path) -> Ensemble | None:
    version = versions_of(record).model
    return load_bundle(models / detector.name / version) if version is not None else None


def _pairs(
    record: Record, again: Mapping[str, Any], row: int, names: Sequence[str], scores: Sequence[str]
) -> Iterator[tuple[str, Any, Any]]:
    """Name, recorded and recomputed value of everything that was recorded of one row."""
    for key, value in again.items():
        stored: Any = record.columns[key]
        match key:
            case "x" | "scores":
                columns = names if key == "x" else scores
                yield from zip(columns, stored[row].tolist(), value[row].tolist(), strict=True)
            case "action":
                yield "decision", Action(int(stored[row])).name, Action(int(value[row])).name
            case _:
                yield key.removeprefix(TEXT), stored[row], value[row]


def _same(left: Any, right: Any) -> bool:
    """Equal, or both missing."""
    return bool(left == right or (isinstance(left, float) and isinstance(right, float) and np.isnan(left) and np.isnan(right)))
