"""The search: candidates in blocks, screened and thinned on time before the test, then measured on the test once."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.clock import iso, to_us
from penstock.detector import Detector
from penstock.errors import DataError
from penstock.extras import require_training
from penstock.features import Aggregate, Derived
from penstock.features.definitions import Added, Described, describe, to_plain
from penstock.messages import Type
from penstock.offline.datasets import Recorded, read
from penstock.offline.leaks import SEPARATES_FROM, Leak, separation
from penstock.offline.options import Options, splits_of
from penstock.offline.periods import CountSplit, Periods
from penstock.offline.rows import Rows, replayed
from penstock.offline.suggest.blocks import Computing, Cost
from penstock.offline.suggest.candidates import FIELDS, Block, CandidateFeature, Generator, added_of, closure
from penstock.offline.suggest.fields import Fields, fields_of, readable
from penstock.offline.suggest.screening import Gains, Matrix, ScreeningFold, ScreeningSample
from penstock.offline.suggest.thinning import SIZES, cheapest_of_equals, smallest_enough

Progress = Callable[[str, float], None]
"""Told what is being done and how much of the whole is done, from 0 to 1."""

AT_ONCE_US = 3_600_000_000
"""Labels that count as known sooner than this after their event feed no candidate."""
_COMPUTING = 0.6
"""The share of the time in which candidates are computed; the rest judges them."""
_POOL = 160
"""Candidates that are judged together at most."""


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Bounds of a search.

    minutes: after which no further block or fold is begun. events: replayed; of more, a sample of keys is taken, so that
    windows of these keys stay whole. rows: on which models are fitted and judged: all frauds, and a sample of the others
    that stands for all of them. features: suggested.
    """

    minutes: float = 20.0
    events: int = 2_000_000
    rows: int = 150_000
    features: int = 96


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A feature that is suggested. gain: the average precision lost where its values are shuffled, the mean of the folds.

    folds: in how many of all it gains more than noise. cost: see `Cost`. equals: others that it stands for.
    """

    name: str
    gain: float
    folds: tuple[int, int]
    cost: Cost
    equals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestions:
    """What a search found.

    chosen: the features that models shall read, the most useful first. features: these and all that they read, in order
    of declaration. inputs: everything that models shall read. refused: fields that nothing reads, with the evidence.
    before, after: average precision without and with them, the mean of the folds; later: the same on the test, which the
    search never looked at. tried: how many candidates. notes: caveats.
    """

    detector: str
    data: str
    period: tuple[str, str]
    chosen: tuple[Suggestion, ...]
    features: tuple[CandidateFeature, ...]
    inputs: tuple[str, ...]
    refused: tuple[Leak, ...]
    tried: int
    before: float
    after: float
    later: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def added(self) -> list[Added]:
        """The definitions of the features, in order of declaration."""
        return added_of(self.features)

    @property
    def known_in_time(self) -> tuple[str, ...]:
        """The chosen features over earlier events, which may separate the classes: all fields that they read were looked at."""
        reads = {each.name: each for each in self.features}
        made = [reads[each.name] for each in self.chosen if each.name in reads]
        return tuple(each.name for each in made if each.described.kind is not None or each.needs)

    def applied(self, detector: Detector) -> Detector:
        """The detector with these features, whose models read them.

        Raises:
            DeclarationError: it has others of these names.
        """
        return detector.with_features([*detector.added, *self.added]).with_inputs(self.inputs)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        found = {each.name: to_plain(each.described) for each in self.features}
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "suggested": [{**asdict(each), "cost": each.cost._asdict()} for each in self.chosen],
            "features": found,
            "inputs": list(self.inputs),
            "refused": [leak.as_json() for leak in self.refused],
        }


_PLAIN = ("detector", "data", "period", "tried", "before", "after", "later", "notes")


def suggest(
    detector: Detector,
    data: Any,
    *,
    before: datetime | None = None,
    split: Options | None = None,
    accepted: Sequence[str] = (),
    limits: SearchLimits | None = None,
    seed: int = 0,
    measured: bool = True,
    progress: Progress = lambda _what, _share: None,
) -> Suggestions:
    """Search for features that add to what a detector's models read.

    Args:
        detector: its fields, entities, declared features and inputs are the start.
        data: recorded events with labels; see `penstock.offline.datasets`.
        before: the search sees nothing from this time on; by default where the first test of a training begins.
        split: options of that training, which say where that is.
        accepted: fields that are known in time, though they look as if they were not.
        limits: of time, events and rows.
        seed: of all random numbers; the same gives the same, unless the time runs out.
        measured: also measure the result on what comes after.
        progress: called with the progress.

    Raises:
        DataError: no label, too few frauds, a file that does not fit.
        MissingExtra: what trains is not installed.
    """
    require_training()
    search = _Search(detector, limits or SearchLimits(), seed, progress, split or Options())
    return search.run(read(data, detector), before, accepted, measured=measured)


@dataclass
class _Search:
    """One search. split: the options of a training whose first test it must not see."""

    detector: Detector
    limits: SearchLimits
    seed: int
    progress: Progress
    split: Options
    notes: list[str] = field(default_factory=list)
    refused: list[Leak] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    def run(self, recorded: Recorded, before: datetime | None, accepted: Sequence[str], *, measured: bool) -> Suggestions:
        self.progress("reading", 0.0)
        recorded = self._sampled(recorded)
        found = fields_of(self.detector, recorded.frame, accepted)
        self.refused += found.refused
        base = self._base(found)
        rows = replayed(self.detector.computing(self.detector.features, base), recorded)
        begin = self._begin_of_test(rows, before)
        earlier, seen = self._until(recorded, rows, begin)
        kept, weight = self._rows_of(seen)
        sample = ScreeningSample.of(kept, weight, base, self.seed)
        computing = Computing(self.detector, earlier, kept)
        pool = self._pool(computing, sample, list(self._generator(found, earlier.frame, seen).blocks()))
        chosen = self._chosen(pool, sample)
        result = self._result(recorded, seen, pool, chosen, sample, base)
        if measured and begin <= int(rows.time_us.max()):
            self.progress("measuring on later days", 0.95)
            result = replace(result, later=self._later(recorded, rows, begin, result, base))
        self.progress("done", 1.0)
        return result

    # ---- what is searched

    def _sampled(self, recorded: Recorded) -> Recorded:
        """Some keys of the first entity with all of their events, where there are too many events."""
        total = len(recorded.frame)
        if total <= self.limits.events:
            return recorded
        key = next((name for name in self._key_fields() if name in recorded.frame.columns), self.detector.id)
        share = self.limits.events / total
        kept = recorded.frame.filter(pl.col(key).hash(self.seed) < int(share * (2**64 - 1)))
        self.notes.append(
            f"the search read {len(kept):,} of {total:,} events: all of some values of {key}, so that their windows are whole;"
            " features of other entities count a share of their events"
        )
        return replace(recorded, frame=kept)

    def _key_fields(self) -> Iterator[str]:
        yield from (f.entity.fields[0] for f in self.detector.features if isinstance(f, Aggregate))
        yield from (name for name, kind in self.detector.schema.columns.items() if kind is Type.TEXT)

    def _base(self, found: Fields) -> tuple[str, ...]:
        """What models read before: the detector's inputs without refused fields, and its categories."""
        inputs = [name for name in readable(self.detector, found.forbidden) if name not in (found.place or ())]
        return (*inputs, *(name for name in found.categories if name not in inputs))

    def _begin_of_test(self, rows: Rows, before: datetime | None) -> int:
        if before is not None:
            return to_us(before)
        split = splits_of(self.detector, rows, self.split)[0]
        return split.spans[1][0] if isinstance(split, CountSplit) else _periods(split).test_from

    def _until(self, recorded: Recorded, rows: Rows, begin: int) -> tuple[Recorded, Rows]:
        """The events before a time, and their rows.

        Raises:
            DataError: there are none.
        """
        early = (recorded.frame[self.detector.time].cast(pl.Int64) < begin).to_numpy()
        if not early.any():
            raise DataError(f"{recorded.name} has no event before {iso(begin)}: the search would see nothing")
        place = np.cumsum(early) - 1
        seen = rows.take(early[rows.row])
        return replace(recorded, frame=recorded.frame.filter(pl.Series(early))), replace(seen, row=place[seen.row])

    def _rows_of(self, rows: Rows) -> tuple[Rows, NDArray[np.float64]]:
        """All known frauds and a sample of the known good events, and how many events each row stands for."""
        frauds, good = np.flatnonzero(rows.fraud == 1.0), np.flatnonzero(rows.fraud == 0.0)
        most = max(self.limits.rows - len(frauds), len(frauds))
        if len(good) <= most:
            chosen = np.flatnonzero(rows.known)
            return rows.take(chosen), np.ones(len(chosen))
        some = np.random.default_rng([self.seed, 0]).choice(good, most, replace=False)
        chosen = np.sort(np.concatenate([frauds, some]))
        kept = rows.take(chosen)
        return kept, np.where(kept.fraud == 1.0, 1.0, len(good) / most)

    def _generator(self, found: Fields, frame: pl.DataFrame, rows: Rows) -> Generator:
        taken: dict[str, Described | None] = dict.fromkeys(self.detector.schema.columns)
        taken |= {f.name: describe(f) if isinstance(f, Aggregate | Derived) else None for f in self.detector.features}
        span_us = int(rows.time_us.max() - rows.time_us.min())
        return Generator(self.detector, found, frame, taken, span_us, self._delay(rows))

    def _delay(self, rows: Rows) -> str | None:
        """After how long labels feed features; None, with a note, where they count as known at once."""
        known = rows.known
        late = rows.known_us[known] - rows.time_us[known] >= AT_ONCE_US
        if late.mean() > 0.5 and self.detector.label is not None:
            return self.detector.label.delay if self.detector.label.delay_us >= AT_ONCE_US else "1h"
        self.notes.append(
            "no feature reads labels, since most count as known within an hour of their event: say when they really become"
            " known, Label(..., delay='7d') or a column label_known_at"
        )
        return None

    # ---- computing and the first look

    def _pool(self, computing: Computing, sample: ScreeningSample, blocks: list[Block]) -> "_CandidatePool":
        pool = _CandidatePool()
        for at, block in enumerate(blocks):
            if self._spent() > _COMPUTING and at:
                left = ", ".join(each.title for each in blocks[at:])
                self.notes.append(f"the time was up before these were tried: {left}; give more with --minutes")
                break
            what = f"computing {block.title} ({at + 1} of {len(blocks)})"
            self.progress(what, self._share(at / len(blocks)))
            values = computing.values(block)
            tried = self._without_leaks(block, values.x, sample)
            strong = sample.above_noise(values.x[:, tried], at, [block.tried[each] for each in tried]) if len(tried) else {}
            pool.tried += len(block.tried)
            for name, strength in strong.items():
                if name not in pool.strength:
                    cost = computing.cost(name, block, values.ns)
                    pool.take(name, block, values.x[:, values.names.index(name)].copy(), strength, cost)
        return pool

    def _without_leaks(self, block: Block, x: Matrix, sample: ScreeningSample) -> list[int]:
        """Columns that vary; of those made of the event's own fields, any that alone separates the classes is refused.

        What is counted over earlier events may separate them: all that it reads has been looked at.
        """
        kept = []
        rows = sample.folds[-1].judge
        for at, name in enumerate(block.tried):
            values, y = x[rows, at].astype(np.float64), sample.y[rows]
            if not (np.nan_to_num(values) != np.nan_to_num(values[0])).any():
                continue
            own = block.title == FIELDS
            auc = separation(values, y) if own else 0.0
            if auc < SEPARATES_FROM:
                kept.append(at)
                continue
            remedy = "if it is known when the event arrives, declare it yourself, and confirm it in training: --accept-input"
            evidence = f"feature {name!r} alone separates fraud from good on later time: ROC AUC {auc:.4f}"
            self.refused.append(Leak("separating_input", (name,), evidence, f"{remedy} {name}"))
        return kept

    # ---- judging

    def _chosen(self, pool: "_CandidatePool", sample: ScreeningSample) -> list[Suggestion]:
        """Those that gain on later time in most folds, without near-equals, as many as add something."""
        names = sorted(pool.strength, key=lambda name: -pool.strength[name])[:_POOL]
        if not names:
            return []
        self.progress("thinning", self._share(1.0))
        stands = cheapest_of_equals(names, pool.matrix(names), pool.strength, pool.costs, self.seed)
        names = list(dict.fromkeys(stands[name] for name in names))
        x = pool.matrix(names)
        measured: list[Gains] = []
        for at in reversed(range(len(sample.folds))):  # the newest first, in case that time runs out
            if measured and self._spent() > 1.0:
                self.notes.append(f"the time was up after {len(measured)} of {len(sample.folds)} folds")
                break
            self.progress(f"judging on later time, fold {len(measured) + 1}", 0.65 + 0.08 * len(measured))
            measured.append(sample.gains(x, at))
        beyond = np.array([gains.loss > max(gains.noise, 0.0) for gains in measured]).sum(axis=0)
        loss = np.mean([gains.loss for gains in measured], axis=0)
        precision = np.mean([gains.precision for gains in measured], axis=0)
        proven = (beyond > len(measured) / 2) & (precision > 0)
        stable = [at for at in np.argsort(-loss, kind="stable").tolist() if proven[at]]
        size = self._size(x[:, stable], sample) if stable else 0
        return [
            Suggestion(
                names[at],
                float(precision[at]),
                (int(beyond[at]), len(measured)),
                pool.costs[names[at]],
                tuple(name for name, other in stands.items() if other == names[at] and name != other),
            )
            for at in stable[:size]
        ]

    def _size(self, x: Matrix, sample: ScreeningSample) -> int:
        """How many of the columns, the best first, are worth nearly as much as all."""
        most = min(x.shape[1], self.limits.features)
        worth: dict[int, float] = {}
        for at, size in enumerate(reversed([*(size for size in SIZES if size < most), most])):
            if worth and self._spent() > 1.0:
                break
            self.progress(f"with {size} of {most}", 0.88 + 0.007 * at)
            worth[size] = float(np.mean([sample.precision(x[:, :size], fold) for fold in range(len(sample.folds))]))
        return smallest_enough(worth)

    # ---- the result

    def _result(
        self,
        recorded: Recorded,
        rows: Rows,
        pool: "_CandidatePool",
        chosen: list[Suggestion],
        sample: ScreeningSample,
        base: tuple[str, ...],
    ) -> Suggestions:
        names = [each.name for each in chosen]
        folds = range(len(sample.folds))
        before = float(np.mean([sample.precision(None, at) for at in folds]))
        after = float(np.mean([sample.precision(pool.matrix(names), at) for at in folds])) if names else before
        if names and after <= before:
            self.notes.append(f"what was found adds nothing: average precision {before:.4f} without, {after:.4f} with it")
            chosen, names, after = [], [], before
        declared = {feature.name for feature in self.detector.features}
        features = [each for each in closure(names, pool.known) if each.name not in declared]
        return Suggestions(
            detector=self.detector.name,
            data=recorded.name,
            period=(iso(int(rows.time_us.min())), iso(int(rows.time_us.max()))),
            chosen=tuple(chosen),
            features=tuple(features),
            inputs=(*base, *names),
            refused=tuple(self.refused),
            tried=pool.tried,
            before=before,
            after=after,
            notes=self.notes,
        )

    def _later(self, recorded: Recorded, rows: Rows, begin: int, result: Suggestions, base: tuple[str, ...]) -> dict[str, Any]:
        """Average precision on the test without and with the features, of models fitted on what was known before."""
        test = rows.time_us >= begin
        parts = [self._rows_of(rows.take(part)) for part in (~test & (rows.known_us <= begin), test)]
        both = np.isin(rows.row, np.concatenate([part.row for part, _ in parts]))
        kept = rows.take(both)
        weights = {int(row): weight for part, each in parts for row, weight in zip(part.row, each, strict=True)}
        weight = np.array([weights[int(row)] for row in kept.row])
        fold = ScreeningFold.of(kept, begin, np.inf, base)
        sample = ScreeningSample(kept.fraud, weight, (fold,), base, self.seed)
        names = tuple(each.name for each in result.chosen)
        without = sample.precision(None, 0)
        with_ = without
        if names:
            values = Computing(self.detector, recorded, kept).values(Block("chosen", result.features, names))
            with_ = sample.precision(values.x, 0)
        return {
            "from": iso(begin),
            "to": iso(int(rows.time_us.max())),
            "frauds": int(kept.fraud[fold.judge].sum()),
            "without": without,
            "with": with_,
        }

    # ---- time

    def _spent(self) -> float:
        """The share of the time that is gone."""
        return (time.monotonic() - self.began_s) / (60 * self.limits.minutes)

    def _share(self, done: float) -> float:
        return 0.05 + 0.6 * done


@dataclass
class _CandidatePool:
    """Candidates that a model splits by more than by noise, with their values on the chosen rows."""

    strength: dict[str, float] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    known: dict[str, CandidateFeature] = field(default_factory=dict)
    tried: int = 0
    _columns: dict[str, Matrix] = field(default_factory=dict)

    def take(self, name: str, block: Block, column: Matrix, strength: float, cost: Cost) -> None:
        """Keep a candidate, with what it reads; of more than fit, the weakest is dropped."""
        self.known |= {each.name: each for each in closure([name], {each.name: each for each in block.candidates})}
        self.strength[name], self.costs[name], self._columns[name] = strength, cost, column
        if len(self._columns) > 2 * _POOL:
            weakest = min(self.strength, key=lambda each: self.strength[each])
            del self.strength[weakest], self.costs[weakest], self._columns[weakest]

    def matrix(self, names: Sequence[str]) -> Matrix:
        """The values of these candidates, (n, k)."""
        return np.column_stack([self._columns[name] for name in names])


def _periods(split: Any) -> Periods:
    assert isinstance(split, Periods)
    return split
