"""The values of candidates, computed by the ordinary replay a block at a time, and what each costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.clock import EVER_US
from penstock.detector import Detector
from penstock.features import Aggregate
from penstock.features.definitions import feature_of
from penstock.models.inputs import Inputs
from penstock.offline.datasets import Recorded
from penstock.offline.replay import Replay
from penstock.offline.rows import Rows
from penstock.offline.suggest.candidates import Block, CandidateFeature, closure
from penstock.offline.suggest.fields import of_fields_alone

_WORD = 8


class Cost(NamedTuple):
    """What a feature costs where it is the only one of its key. ns: processor time of an event. bytes: memory of a key.

    ns is measured: that of its block, shared out evenly. bytes follow from the plan and from how often a key comes.
    """

    ns: float
    bytes: float


@dataclass(frozen=True, slots=True)
class BlockValues:
    """A block's candidates on the chosen rows: x (n, k) float32, NaN where a value is missing; names (k,).

    ns: processor time of one feature and event.
    """

    names: tuple[str, ...]
    x: NDArray[np.float32]
    ns: float


@dataclass(frozen=True)
class Computing:
    """What computes blocks. rows: the rows whose values are wanted, out of all that were recorded."""

    detector: Detector
    recorded: Recorded
    rows: Rows
    _counted: dict[tuple[str, ...], float] = field(default_factory=dict)

    @cached_property
    def declared(self) -> list[object]:
        """Declared features that candidates may be made of."""
        return of_fields_alone(self.detector)

    def values(self, block: Block, progress: Callable[[float], None] = lambda _share: None) -> BlockValues:
        """Replay all events, so that windows are whole, and keep the values of the chosen rows."""
        detector = self._detector(block.candidates, block.tried)
        inputs = Inputs(detector.plan.layout, block.tried)
        x = np.empty((len(self.rows), len(block.tried)), np.float32)
        wanted = np.zeros(len(self.recorded.frame), np.bool_)
        wanted[self.rows.row] = True
        began, done, seen = time.process_time(), 0, 0
        for chunk in Replay(detector).chunks(self.recorded, decide=False):
            chosen = np.flatnonzero(wanted[chunk.rows] & (chunk.batch.kinds == 0)).astype(np.int32)
            found = inputs.matrix(chunk.batch, chosen)
            x[done : done + len(found)] = found
            done, seen = done + len(found), seen + len(chunk.batch)
            progress(seen / len(self.recorded.frame))
        ns = 1e9 * (time.process_time() - began) / max(seen, 1) / len(block.candidates)
        return BlockValues(block.tried, x, ns)

    def _detector(self, candidates: Sequence[CandidateFeature], inputs: Sequence[str]) -> Detector:
        known = {feature.name for feature in self.declared}  # type: ignore[attr-defined]  # every feature has a name
        made = [feature_of(each.name, each.described, {}) for each in candidates if each.name not in known]
        return self.detector.computing([*self.declared, *made], inputs)  # type: ignore[list-item]

    # ---- costs

    def cost(self, name: str, block: Block, ns: float) -> Cost:
        """What a candidate costs with all that it reads. ns: as measured for its block."""
        known = {each.name: each for each in block.candidates}
        return Cost(ns, sum(self._bytes(each, block) for each in closure([name], known)))

    def _bytes(self, candidate: CandidateFeature, block: Block) -> float:
        """The memory of a key with this feature alone: its row, and a place in its ring for each event within its window."""
        if candidate.described.kind is None:
            return 0.0
        support = [each for each in block.candidates if each.described.derive is not None and not each.needs]
        detector = self._detector([*support, candidate], ())
        [entity] = detector.plan.entities
        feature = next(each for each in detector.features if each.name == candidate.name)
        assert isinstance(feature, Aggregate)
        held_us = feature.window_us + feature.delay_us + detector.lateness_us
        ring = entity.plan.sizes.ring_width * self._events_of(feature, detector, min(held_us, EVER_US))
        return float(_WORD * (entity.plan.sizes.row_width + ring))

    def _events_of(self, feature: Aggregate, detector: Detector, held_us: int) -> float:
        """How many events of a key fall into so much time on average; those older than a window over ever are totals."""
        times = self.rows.time_us
        span_us = max(int(times.max() - times.min()), 1)
        held_us = detector.lateness_us if feature.window_us >= EVER_US else held_us
        return self._events_a_key(feature.entity.fields) * min(held_us / span_us, 1.0)

    def _events_a_key(self, fields: Sequence[str]) -> float:
        """How many events each key has on average; a part of it that is derived counts as one value."""
        stored = tuple(name for name in fields if name in self.recorded.frame.columns)
        if stored not in self._counted:
            frame = self.recorded.frame.select(stored or self.detector.time).drop_nulls()
            self._counted[stored] = len(frame) / max(frame.n_unique(), 1) if stored else float(len(frame))
        return self._counted[stored]
